"""The oracles themselves, against values worked out by hand."""

from __future__ import annotations

import math

import pytest

from oracles.ab import ab
from oracles.attention import attention, gradient_attention
from oracles.cat_kd import cat_kd
from oracles.crd import crd
from oracles.dist import dist
from oracles.dkd import dkd
from oracles.fsp import fsp, fsp_matrix
from oracles.gkl import gkl
from oracles.hint import hint
from oracles.kd import kd
from oracles.kdsvd import eigenvectors
from oracles.ldrld import ldrld
from oracles.maps import pool_map
from oracles.mgd import mgd
from oracles.nkd import nkd, target_class
from oracles.norm import norm
from oracles.nst import nst
from oracles.ofa import ofa
from oracles.ofd import ofd, ofd_margin
from oracles.reviewkd import hcl
from oracles.rkd import rkd
from oracles.rld import rld
from oracles.sdd import sdd
from oracles.skd import direction, share_to_median
from oracles.sp import sp
from oracles.ttm import ttm
from oracles.vid import vid
from oracles.wkd_f import wkd_f
from oracles.wkd_l import transport, wkd_l_cost
from oracles.wsld import wsld


def test_kd_of_two_classes() -> None:
    # p_t = (¾, ¼), p_s = (½, ½): KL = ¾ log 1.5 + ¼ log 0.5
    logit = 2 * math.log(3)
    expected = 4 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert kd([[0.0, 0.0]], [[logit, 0.0]], temperature=2.0) == pytest.approx(expected)


def test_dkd_of_two_classes_is_kd() -> None:
    logit = 2 * math.log(3)
    expected = kd([[0.0, 0.0]], [[logit, 0.0]], temperature=2.0)
    assert dkd([[0.0, 0.0]], [[logit, 0.0]], [1], temperature=2.0) == pytest.approx(expected)


def test_dist_of_opposite_rows_and_columns() -> None:
    # all correlations are −1: τ²·(2·β + 2·γ)
    student, teacher = [[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]
    assert dist(student, teacher, beta=3.0, gamma=0.5, temperature=2.0) == pytest.approx(28.0, rel=1e-6)


def test_nkd_of_three_classes() -> None:
    # label: p_t = p_s = ⅓; others: q_t = (¾, ¼), q_s = (½, ½)
    expected = math.log(3) / 3 + 2 * math.log(2)
    assert target_class([[0.0, 0.0]], [[math.log(3), 0.0]], [0]) == pytest.approx(0.75 * math.log(2))
    assert nkd([[0.0] * 3], [[0.0] * 3], [0], gamma=2.0) == pytest.approx(expected)


def test_ttm_of_a_square_root() -> None:
    # p_t = (0.9, 0.1): roots 3 : 1, q = (¾, ¼), U = (3 + 1)·√0.1
    divergence = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    student, teacher = [[0.0, 0.0]], [[math.log(9), 0.0]]
    assert ttm(student, teacher, gamma=0.5) == pytest.approx(divergence)
    assert ttm(student, teacher, gamma=0.5, weighted=True) == pytest.approx(4 * math.sqrt(0.1) * divergence)


def test_rld_of_a_wrong_teacher() -> None:
    # the teacher's best class has ¾, the student's label ½; no pair of classes lies below the label
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert rld([[0.0, 0.0]], [[0.0, math.log(3)]], [0]) == pytest.approx(expected)


def test_skd_of_two_samples() -> None:
    # D = (0, −1; −1, 0), Cov = (½, −½; −½, ½), plus ½·I: inverse (4/3, 2/3; 2/3, 4/3), both lengths √(4/3)
    student, teacher = [[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]
    assert direction(student, teacher, ridge=0.5, divisor=1.0) == pytest.approx(math.sqrt(4 / 3))
    assert share_to_median([1.0, 2.0, 5.0, 3.0]) == 0.5


def test_gkl_and_ikl_of_two_classes() -> None:
    # d = (2, 0), w = (½, ½): Σ = 2·¼·4 = 2, Σ w_j·w_k = 1; with γ = 2 both are divided by 4
    student, teacher = [[0.0, 0.0]], [[2.0, 0.0]]
    half = [[0.5, 0.5], [0.5, 0.5]]
    assert gkl(student, teacher, [0], half, alpha=0.0, beta=2.0, gamma=2.0) == pytest.approx(1.0)
    assert gkl(student, teacher, [0], half, alpha=0.0, beta=2.0, version=1) == pytest.approx(1.0)


def test_wsld_of_equal_networks() -> None:
    expected = 4 * (1 - math.exp(-1)) * math.log(2)
    assert wsld([[0.0, 0.0]], [[0.0, 0.0]], [0], alpha=1.0) == pytest.approx(expected, rel=1e-6)


def test_ldrld_of_one_pair() -> None:
    # the student's order is 1, 0; the rest is a single class, without loss
    student, teacher = [[0.0, 0.0 + 1e-12, -9.0]], [[0.0, math.log(3), 0.0]]
    pair = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    expected = 2 * math.exp(-0.15) / 2.5 * pair
    assert ldrld(student, teacher, alpha=1.0, beta=1.0, k=2, temperature=1.0) == pytest.approx(expected)


def test_wkd_l_moves_mass_at_its_cost() -> None:
    assert wkd_l_cost([[1.0, 0.0], [0.0, 2.0]], sharpen=0.0)[0] == pytest.approx([1e-8, 1.0 + 1e-8])
    # ¼ of the mass moves between classes 0.2 apart; the entropy costs little at reg 0.02
    cost = [[1e-8, 0.2], [0.2, 1e-8]]
    assert transport([0.5, 0.5], [0.75, 0.25], cost, reg=0.02, iterations=2000) == pytest.approx(0.05, rel=1e-2)


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


def test_losses_of_maps() -> None:
    # pooled to 1 x 1 both maps are 0: (4 + 0 / 2) / (1 + 1 / 2)
    assert hcl([[[[2.0, -2.0]]]], [[[[0.0, 0.0]]]]) == pytest.approx(8 / 3)
    assert cat_kd([[[[3.0, 4.0]]]], [[[[4.0, 3.0]]]]) == pytest.approx(0.04)
    assert norm([[[[1.0]], [[3.0]]]], [[[[1.0]]]]) == pytest.approx(0 + 4)
    assert mgd([[[[1.0, 2.0]]]], [[[[0.0, 0.0]]]]) == pytest.approx(1 + 4)
    # means 1 and 0, unbiased variances 2 and 0
    assert wkd_f([[[[0.0, 2.0]]]], [[[[0.0, 0.0]]]], ratio=3.0, eps=0.0) == pytest.approx(3 + 2)


def test_sdd_counts_an_ambiguous_region_twice() -> None:
    logit = 2 * math.log(3)
    one = 4 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    teacher = [[[logit, 0.0], [0.0, logit]]]
    assert sdd([[[0.0, 0.0], [0.0, 0.0]]], teacher, labels=[0]) == pytest.approx((one + 2 * one) / 2)


def test_ofa_of_equal_logits() -> None:
    assert ofa([[0.0, 0.0]], [[0.0, 0.0]], labels=[0], eps=2.0) == pytest.approx((1.5**2 - 1 + 0.5**2) * math.log(2))


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
