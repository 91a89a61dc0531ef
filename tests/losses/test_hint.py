from __future__ import annotations

import pytest
import torch

from tutelage.errors import TutelageError
from tutelage.losses import hint_loss, hint_match, hint_target


def test_forms_differ_by_the_known_factor() -> None:
    student, teacher = torch.randn(2, 4, 3, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert hint_loss(student, teacher, "paper").item() == pytest.approx(
        hint_loss(student, teacher, "mean").item() * 3 * 5 * 5 / 2
    )


def test_normalized_ignores_scale_and_stays_below_four() -> None:
    student = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert hint_loss(100 * student, student, "normalized").item() == pytest.approx(0, abs=1e-6)
    assert hint_loss(-student, student, "normalized").item() == pytest.approx(4)


def test_vectors_and_tokens_need_no_map() -> None:
    for shape in ((2, 8), (2, 5, 8)):
        assert hint_loss(torch.ones(shape), torch.zeros(shape)).item() == 1.0


@pytest.mark.parametrize("form", ["mean", "paper", "normalized"])
def test_target_is_pooled_and_keeps_its_shape(form: str) -> None:
    assert hint_target(torch.rand(2, 3, 8, 8), (4, 4), form).shape == (2, 3, 4, 4)
    assert hint_target(torch.rand(2, 3, 2, 8), (4, 4), form).shape == (2, 3, 2, 4)


def test_other_channels_are_refused_with_a_way_out() -> None:
    with pytest.raises(TutelageError, match=r"\(2, 3, 4, 4\).*\(2, 5, 4, 4\).*connector"):
        hint_loss(torch.rand(2, 3, 4, 4), torch.rand(2, 5, 8, 8))


def test_target_larger_than_the_student_names_size() -> None:
    with pytest.raises(TutelageError, match="size"):
        hint_match(torch.rand(2, 3, 4, 4), hint_target(torch.rand(2, 3, 8, 8)))


def test_unknown_form_names_the_nearest() -> None:
    with pytest.raises(TutelageError, match="did you mean normalized"):
        hint_loss(torch.rand(2, 3), torch.rand(2, 3), "normalised")  # type: ignore[arg-type]
