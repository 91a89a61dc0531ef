from __future__ import annotations

import pytest
import torch

from oracles.fsp import fsp_matrix as by_loops
from tutelage.errors import TutelageError
from tutelage.losses import fsp_loss, fsp_matrix


@pytest.mark.parametrize("pool", ["max", "avg"])
@pytest.mark.parametrize("size", [(6, 6), (3, 3), (5, 7), (2, 9)])
def test_matrix_is_the_oracles(pool: str, size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(2, 3, 6, 6, generator=generator, dtype=torch.float64)
    b = torch.randn(2, 4, *size, generator=generator, dtype=torch.float64)
    expected = [by_loops(x, y, pool) for x, y in zip(a.tolist(), b.tolist())]
    assert torch.allclose(fsp_matrix(a, b, pool), torch.tensor(expected, dtype=torch.float64), atol=1e-12)


def test_float16_sums_do_not_overflow() -> None:
    large = torch.full((1, 2, 32, 32), 200.0, dtype=torch.float16)
    assert fsp_matrix(large, large).equal(torch.full((1, 2, 2), 40_000.0))


def test_other_channels_are_refused_with_a_way_out() -> None:
    student = torch.rand(2, 3, 4, 4), torch.rand(2, 8, 4, 4)
    teacher = torch.rand(2, 3, 4, 4), torch.rand(2, 16, 4, 4)
    with pytest.raises(TutelageError, match=r"\(2, 3, 8\).*\(2, 3, 16\).*connectors"):
        fsp_loss(student, teacher)


def test_unknown_names_are_refused() -> None:
    pair = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 2, 2)
    with pytest.raises(TutelageError, match="unknown fsp form 'code'"):
        fsp_loss(pair, pair, form="code")  # type: ignore[arg-type]
    with pytest.raises(TutelageError, match="unknown pool 'median'"):
        fsp_loss(pair, pair, pool="median")  # type: ignore[arg-type]


def test_by_hand() -> None:
    # One channel in the first layer, two in the second, two positions.
    a = torch.tensor([[[[1.0, 2.0]]]])
    b = torch.tensor([[[[3.0, 4.0]], [[0.0, -2.0]]]])
    # (1·3 + 2·4)/2 and (1·0 + 2·(−2))/2
    assert fsp_matrix(a, b).tolist() == [[[5.5, -2.0]]]
    # Against a network whose second layer is zero, G = 0: 5.5² + 2², and its mean over the two elements.
    nothing = (a, torch.zeros_like(b))
    assert fsp_loss((a, b), nothing).item() == pytest.approx(34.25)
    assert fsp_loss((a, b), nothing, form="mean").item() == pytest.approx(17.125)


def test_the_larger_map_is_pooled_by_hand() -> None:
    large, small = torch.tensor([[[[1.0, 3.0], [-5.0, 0.0]]]]), torch.tensor([[[[2.0]]]])
    assert fsp_matrix(large, small).item() == 6.0
    assert fsp_matrix(large, small, pool="avg").item() == pytest.approx(-0.5)
