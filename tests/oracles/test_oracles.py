"""The oracles themselves, against values worked out by hand."""

from __future__ import annotations

import math

import pytest

from oracles.attention import attention, gradient_attention
from oracles.fsp import fsp, fsp_matrix
from oracles.hint import hint
from oracles.kd import kd
from oracles.maps import pool_map
from oracles.nst import nst
from oracles.ofd import ofd, ofd_margin


def test_kd_of_two_classes() -> None:
    # p_t = (¾, ¼), p_s = (½, ½): KL = ¾ log 1.5 + ¼ log 0.5
    logit = 2 * math.log(3)
    expected = 4 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert kd([[0.0, 0.0]], [[logit, 0.0]], temperature=2.0) == pytest.approx(expected)


def test_hint_forms() -> None:
    student, teacher = [[[[3.0, 4.0]]]], [[[[4.0, 3.0]]]]
    assert hint(student, teacher, "mean") == pytest.approx(1.0)
    assert hint(student, teacher, "paper") == pytest.approx(1.0)
    assert hint(student, teacher, "normalized") == pytest.approx(0.08)


def test_attention_forms() -> None:
    # Q_s = (1, 0), Q_t = (0, 1)
    student, teacher = [[[[2.0, 0.0]]]], [[[[0.0, 1.0]], [[0.0, -1.0]]]]
    assert attention(student, teacher, form="code") == pytest.approx(1.0)
    assert attention(student, teacher, form="paper") == pytest.approx(math.sqrt(2) / 2)
    assert gradient_attention([[[[1.0, 3.0]]]], [[[[1.0, 1.0]]]]) == pytest.approx(2.0)


def test_nst_kernels() -> None:
    # one student map (1, 0), one teacher map (0, 1): squared distance 2, product 0
    student, teacher = [[[[5.0, 0.0]]]], [[[[0.0, 2.0]]]]
    assert nst(student, teacher, "linear") == pytest.approx(2.0)
    assert nst(student, teacher, "polynomial", degree=2, offset=1.0) == pytest.approx(6.0)
    assert nst(student, teacher, "gaussian") == pytest.approx(2 - 2 * math.exp(-0.5))
    assert nst(student, teacher, "gaussian", bandwidth=4.0) == pytest.approx(2 - 2 * math.exp(-0.25))


def test_fsp_pools_by_maximum_or_average() -> None:
    large, small = [[[1.0, 3.0]]], [[[2.0]]]
    assert fsp_matrix(large, small, "max") == [[6.0]]
    assert fsp_matrix(large, small, "avg") == [[4.0]]
    assert fsp([large], [small], [small], [small], "paper", "max") == pytest.approx(4.0)


def test_pooling_with_overlapping_bins() -> None:
    assert pool_map([[1.0, 2.0, 4.0]], 1, 2, "avg") == [[1.5, 3.0]]


def test_ofd_margin_of_known_expectations() -> None:
    half_normal = -math.sqrt(2 / math.pi)
    assert ofd_margin([1.0, -2.0, 1.0, 0.0, 0.0], [0.0, 0.0, 5.0, -1.5, 2.0]) == pytest.approx(
        [half_normal, 2 * half_normal, -3.0, -1.5, 0.0], abs=1e-6
    )


def test_ofd_counts_a_sample_only_where_it_must() -> None:
    # student ≤ clipped teacher ≤ 0: free; above it, or teacher positive: counted
    assert ofd([[[[-2.0, 0.5, 1.0]]]], [[[[-5.0, -5.0, 3.0]]]], [-1.0]) == pytest.approx(1.5**2 + 2.0**2)
