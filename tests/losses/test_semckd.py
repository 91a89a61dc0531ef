"""SemCKD: attention chooses the teacher's layer."""

from __future__ import annotations

import pytest
import torch

from tutelage.errors import TutelageError
from tutelage.losses import hint_loss, semckd_loss


def test_all_attention_on_one_layer_is_the_error_of_this_layer() -> None:
    student, *teachers = torch.randn(3, 2, 4, 3, 3)
    attention = torch.tensor([[[0.0, 1.0]]]).expand(2, 1, 2)
    loss = semckd_loss([[student, student]], teachers, attention)
    assert loss.item() == pytest.approx(hint_loss(student, teachers[1]).item(), rel=1e-6)


def test_attention_for_other_layers_is_refused() -> None:
    maps = torch.zeros(2, 4, 3, 3)
    with pytest.raises(TutelageError, match="1 layers of the student and 2 of the teacher; pass both outputs"):
        semckd_loss([[maps, maps]], [maps, maps], torch.ones(2, 2, 2))
