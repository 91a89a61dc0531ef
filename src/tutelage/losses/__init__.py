"""Distillation losses as plain functions of tensors, for any training loop.

Each loss ``X`` comes as one function and as two halves:

* ``X_loss(student, teacher, …)`` computes the loss from both networks' outputs.
* ``X_target(teacher, …)`` reduces the teacher's output to the smallest tensor the loss needs. It is detached, so it can
  be cached.
* ``X_match(student, target, …)`` computes the loss from the student's output and such a target.

Losses on logits alone have no halves of their own: ``kd_target`` is the target of each of them, and the loss is the
match. One cached pass of the teacher serves them all.

All losses return a scalar averaged over the batch. They run with autocast off: half-precision inputs are computed in
float32; float32 and float64 inputs keep their precision.
"""

from tutelage.losses.ab import ab_loss, ab_match, ab_target
from tutelage.losses.attention import (
    attention_loss,
    attention_map,
    attention_match,
    attention_target,
    gradient_attention_loss,
)
from tutelage.losses.cat_kd import cat_kd_loss, cat_kd_match, cat_kd_target, class_map
from tutelage.losses.cc import cc_loss, cc_match, cc_target
from tutelage.losses.crd import crd_log_z, crd_loss, crd_similarities
from tutelage.losses.ctkd import ctkd_loss, ctkd_strength
from tutelage.losses.deit import deit_loss, deit_match, deit_target
from tutelage.losses.dist import dist_loss
from tutelage.losses.dkd import dkd_loss
from tutelage.losses.fsp import fsp_loss, fsp_match, fsp_matrix, fsp_target
from tutelage.losses.ft import ft_loss, ft_match, ft_paraphraser_loss, ft_target
from tutelage.losses.gkl import gkl_loss
from tutelage.losses.hint import hint_loss, hint_match, hint_target
from tutelage.losses.ickd import ickd_loss, ickd_match, ickd_target
from tutelage.losses.itrd import itrd_correlation_loss, itrd_loss, itrd_mutual_loss, itrd_target
from tutelage.losses.kd import ensemble_target, kd_loss, kd_match, kd_target
from tutelage.losses.kdsvd import kdsvd_loss, kdsvd_match, kdsvd_target
from tutelage.losses.ldrld import ldrld_loss
from tutelage.losses.mgd import mgd_loss, mgd_mask, mgd_match, mgd_target
from tutelage.losses.nkd import nkd_loss
from tutelage.losses.norm import norm_logits, norm_loss, norm_match, norm_target
from tutelage.losses.nst import nst_loss, nst_match, nst_target
from tutelage.losses.ofa import ofa_loss
from tutelage.losses.ofd import ofd_loss, ofd_margin, ofd_match, ofd_measured_margin, ofd_target
from tutelage.losses.pefd import pefd_loss, pefd_match, pefd_target
from tutelage.losses.pkt import pkt_loss, pkt_match, pkt_target
from tutelage.losses.precision import full_precision
from tutelage.losses.reviewkd import hcl_loss, reviewkd_loss
from tutelage.losses.rkd import rkd_loss, rkd_match, rkd_target
from tutelage.losses.rld import rld_loss
from tutelage.losses.sdd import region_logits, sdd_loss, sdd_nkd_loss
from tutelage.losses.semckd import semckd_loss
from tutelage.losses.shapes import pool_to
from tutelage.losses.simkd import simkd_loss, simkd_match, simkd_target
from tutelage.losses.skd import skd_loss
from tutelage.losses.sp import sp_loss, sp_match, sp_target
from tutelage.losses.srd import srd_loss, srd_match, srd_target
from tutelage.losses.srrl import srrl_loss, srrl_match, srrl_target
from tutelage.losses.standardization import standardize
from tutelage.losses.target_class import target_class_loss
from tutelage.losses.tf_kd import tf_kd_loss
from tutelage.losses.ttm import ttm_loss
from tutelage.losses.uskd import uskd_loss
from tutelage.losses.vid import vid_loss, vid_match, vid_target
from tutelage.losses.vitkd import vitkd_loss, vitkd_mask
from tutelage.losses.vkd import vkd_loss, vkd_match, vkd_target
from tutelage.losses.wkd_f import wkd_f_loss, wkd_f_match, wkd_f_target
from tutelage.losses.wkd_l import wkd_l_cost, wkd_l_loss, wkd_l_transport_loss
from tutelage.losses.wsld import wsld_loss

__all__ = [
    "ab_loss",
    "ab_match",
    "ab_target",
    "attention_loss",
    "attention_map",
    "attention_match",
    "attention_target",
    "cat_kd_loss",
    "cat_kd_match",
    "cat_kd_target",
    "cc_loss",
    "cc_match",
    "cc_target",
    "class_map",
    "crd_log_z",
    "crd_loss",
    "crd_similarities",
    "ctkd_loss",
    "ctkd_strength",
    "deit_loss",
    "deit_match",
    "deit_target",
    "dist_loss",
    "dkd_loss",
    "ensemble_target",
    "fsp_loss",
    "fsp_match",
    "fsp_matrix",
    "fsp_target",
    "ft_loss",
    "ft_match",
    "ft_paraphraser_loss",
    "ft_target",
    "full_precision",
    "gkl_loss",
    "gradient_attention_loss",
    "hcl_loss",
    "hint_loss",
    "hint_match",
    "hint_target",
    "ickd_loss",
    "ickd_match",
    "ickd_target",
    "itrd_correlation_loss",
    "itrd_loss",
    "itrd_mutual_loss",
    "itrd_target",
    "kd_loss",
    "kd_match",
    "kd_target",
    "kdsvd_loss",
    "kdsvd_match",
    "kdsvd_target",
    "ldrld_loss",
    "mgd_loss",
    "mgd_mask",
    "mgd_match",
    "mgd_target",
    "nkd_loss",
    "norm_logits",
    "norm_loss",
    "norm_match",
    "norm_target",
    "nst_loss",
    "nst_match",
    "nst_target",
    "ofa_loss",
    "ofd_loss",
    "ofd_margin",
    "ofd_match",
    "ofd_measured_margin",
    "ofd_target",
    "pefd_loss",
    "pefd_match",
    "pefd_target",
    "pkt_loss",
    "pkt_match",
    "pkt_target",
    "pool_to",
    "region_logits",
    "reviewkd_loss",
    "rkd_loss",
    "rkd_match",
    "rkd_target",
    "rld_loss",
    "sdd_loss",
    "sdd_nkd_loss",
    "semckd_loss",
    "simkd_loss",
    "simkd_match",
    "simkd_target",
    "skd_loss",
    "sp_loss",
    "sp_match",
    "sp_target",
    "srd_loss",
    "srd_match",
    "srd_target",
    "srrl_loss",
    "srrl_match",
    "srrl_target",
    "standardize",
    "target_class_loss",
    "tf_kd_loss",
    "ttm_loss",
    "uskd_loss",
    "vid_loss",
    "vid_match",
    "vid_target",
    "vitkd_loss",
    "vitkd_mask",
    "vkd_loss",
    "vkd_match",
    "vkd_target",
    "wkd_f_loss",
    "wkd_f_match",
    "wkd_f_target",
    "wkd_l_cost",
    "wkd_l_loss",
    "wkd_l_transport_loss",
    "wsld_loss",
]
