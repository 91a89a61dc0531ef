"""CAT-KD: class maps come from the last map and the classifier, and are compared up to their scale."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from tutelage.errors import TutelageError
from tutelage.losses import cat_kd_loss, class_map, pool_to


def test_pooled_features_give_pooled_class_maps() -> None:
    features, weight, bias = torch.randn(2, 5, 6, 7), torch.randn(4, 5), torch.randn(4)
    maps = class_map(features, weight, bias)
    assert torch.allclose(pool_to(maps, (2, 3)), class_map(pool_to(features, (2, 3)), weight, bias), atol=1e-5)
    assert torch.allclose(maps.mean((2, 3)), F.linear(features.mean((2, 3)), weight, bias), atol=1e-5)


def test_the_scale_of_a_class_map_does_not_matter_unless_raw_maps_are_asked_for() -> None:
    student, teacher = torch.rand(2, 4, 4, 4), torch.rand(2, 4, 4, 4)
    scaled = teacher * torch.tensor([0.1, 1.0, 5.0, 100.0])[:, None, None]
    assert cat_kd_loss(student, scaled).item() == pytest.approx(cat_kd_loss(student, teacher).item(), rel=1e-5)
    assert cat_kd_loss(student, scaled, normalize=False) > 10 * cat_kd_loss(student, teacher, normalize=False)


def test_errors_name_the_remedy() -> None:
    with pytest.raises(TutelageError, match="reads 7 channels and the map has 5; tap the last map"):
        class_map(torch.zeros(2, 5, 4, 4), torch.zeros(3, 7))
    with pytest.raises(TutelageError, match="resolution 0 must be positive"):
        cat_kd_loss(torch.zeros(2, 5, 4, 4), torch.zeros(2, 5, 4, 4), resolution=0)
    with pytest.raises(TutelageError, match="must not exceed the sides of the smaller map"):
        cat_kd_loss(torch.zeros(2, 5, 1, 1), torch.zeros(2, 5, 4, 4))
