"""What is special about VID: its variance is trained, from a given start, and may be as large as it likes."""

from __future__ import annotations

import pytest
import torch

from losses.golden.case import FOLDER, read_case
from tutelage.connectors import VIDRegressor
from tutelage.errors import TutelageError
from tutelage.losses import vid_loss


def test_best_variance_is_the_mean_squared_error() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 4, 3, 5, 5, generator=generator, dtype=torch.float64)
    errors = (student - teacher).square().mean((0, 2, 3))
    rho = torch.log(torch.expm1(errors - 1e-5)).requires_grad_()
    vid_loss(student, teacher, rho).backward()
    assert rho.grad is not None and rho.grad.abs().max() < 1e-12


def test_start_is_the_official_one() -> None:
    case = read_case(FOLDER / "vid.safetensors")
    connector = VIDRegressor((4, 6, 5), (7, 6, 5), init_pred_var=case.params["init_pred_var"], eps=case.params["eps"])
    torch.testing.assert_close(connector.rho.double(), case.inputs["log_scale.initial"])


def test_large_rho_does_not_overflow() -> None:
    maps = torch.ones(1, 2, 2, 2)
    assert vid_loss(maps, maps, torch.tensor([1e4, 1e4])).item() == pytest.approx(0.5 * torch.tensor(1e4).log().item())


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(TutelageError, match=r"rho of shape \(3,\) does not fit 2 channels"):
        vid_loss(torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2), torch.zeros(3))
    with pytest.raises(TutelageError, match="init_pred_var = 0.0"):
        VIDRegressor((4, 2, 2), (4, 2, 2), init_pred_var=0.0)
