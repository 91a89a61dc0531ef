"""The oracles themselves, against values worked out by hand."""

from __future__ import annotations

import math

import pytest

from oracles.ab import ab
from oracles.attention import attention, gradient_attention
from oracles.crd import crd
from oracles.fsp import fsp, fsp_matrix
from oracles.hint import hint
from oracles.kd import kd
from oracles.kdsvd import eigenvectors
from oracles.maps import pool_map
from oracles.nst import nst
from oracles.ofd import ofd, ofd_margin
from oracles.rkd import rkd
from oracles.sp import sp
from oracles.vid import vid


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


def test_rkd_of_a_line_and_a_triangle() -> None:
    # distances 1, 2, 1 of mean 4/3 against three equal ones; angles of 0 and 180 degrees against 60
    line, triangle = [[0.0], [1.0], [2.0]], [[0.0, 0.0], [1.0, 0.0], [0.5, math.sqrt(3) / 2]]
    assert rkd(line, triangle, w_d=1.0, w_a=0.0) == pytest.approx(2 * (0.25**2 + 0.5**2 / 2) / 9)
    assert rkd(line, triangle, w_d=0.0, w_a=1.0) == pytest.approx((4 * 0.5**2 / 2 + 2 * (1.5 - 0.5)) / 27)


def test_sp_of_two_samples() -> None:
    # rows (1, 0) and (0, 1) against (1, 1) / √2 twice
    student, teacher = [[[[1.0, 0.0]]], [[[0.0, 1.0]]]], [[[[1.0]]], [[[1.0]]]]
    assert sp(student, teacher) == pytest.approx(1 - 1 / math.sqrt(2))


def test_vid_of_unit_variance() -> None:
    assert vid([[[[3.0]]]], [[[[1.0]]]], [math.log(math.e - 1)], eps=0.0) == pytest.approx(2.0)


def test_crd_of_one_negative() -> None:
    # all probabilities and the noise are 1, so every share is a half
    assert crd([[0.0, 0.0]], [[0.0, 0.0]], [0.0, 0.0], n_data=1) == pytest.approx(4 * math.log(2), rel=1e-6)


def test_ab_counts_wrong_signs_and_small_margins() -> None:
    assert ab([[[[-2.0, 0.0, 3.0]]]], [[[[-1.0, 1.0, -1.0]]]]) == pytest.approx(0 + 1 + 16)


def test_eigenvectors_of_a_symmetric_matrix() -> None:
    first, second = eigenvectors([[2.0, 1.0], [1.0, 2.0]])
    assert [abs(value) for value in (*first, *second)] == pytest.approx([math.sqrt(0.5)] * 4)
    assert first[0] * first[1] > 0 > second[0] * second[1]
