"""Distillation losses as plain functions of tensors, for any training loop.

Each loss ``X`` comes as one function and as two halves:

* ``X_loss(student, teacher, …)`` computes the loss from both networks' outputs.
* ``X_target(teacher, …)`` reduces the teacher's output to the smallest tensor the loss needs. It is detached, so it can
  be cached.
* ``X_match(student, target, …)`` computes the loss from the student's output and such a target.

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
from tutelage.losses.cc import cc_loss, cc_match, cc_target
from tutelage.losses.crd import crd_log_z, crd_loss, crd_similarities
from tutelage.losses.fsp import fsp_loss, fsp_match, fsp_matrix, fsp_target
from tutelage.losses.ft import ft_loss, ft_match, ft_paraphraser_loss, ft_target
from tutelage.losses.hint import hint_loss, hint_match, hint_target
from tutelage.losses.ickd import ickd_loss, ickd_match, ickd_target
from tutelage.losses.itrd import itrd_correlation_loss, itrd_loss, itrd_mutual_loss, itrd_target
from tutelage.losses.kd import ensemble_target, kd_loss, kd_match, kd_target
from tutelage.losses.kdsvd import kdsvd_loss, kdsvd_match, kdsvd_target
from tutelage.losses.nst import nst_loss, nst_match, nst_target
from tutelage.losses.ofd import ofd_loss, ofd_margin, ofd_match, ofd_measured_margin, ofd_target
from tutelage.losses.pefd import pefd_loss, pefd_match, pefd_target
from tutelage.losses.pkt import pkt_loss, pkt_match, pkt_target
from tutelage.losses.precision import full_precision
from tutelage.losses.rkd import rkd_loss, rkd_match, rkd_target
from tutelage.losses.shapes import pool_to
from tutelage.losses.sp import sp_loss, sp_match, sp_target
from tutelage.losses.srd import srd_loss, srd_match, srd_target
from tutelage.losses.srrl import srrl_loss, srrl_match, srrl_target
from tutelage.losses.vid import vid_loss, vid_match, vid_target

__all__ = [
    "ab_loss",
    "ab_match",
    "ab_target",
    "attention_loss",
    "attention_map",
    "attention_match",
    "attention_target",
    "cc_loss",
    "cc_match",
    "cc_target",
    "crd_log_z",
    "crd_loss",
    "crd_similarities",
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
    "gradient_attention_loss",
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
    "nst_loss",
    "nst_match",
    "nst_target",
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
    "rkd_loss",
    "rkd_match",
    "rkd_target",
    "sp_loss",
    "sp_match",
    "sp_target",
    "srd_loss",
    "srd_match",
    "srd_target",
    "srrl_loss",
    "srrl_match",
    "srrl_target",
    "vid_loss",
    "vid_match",
    "vid_target",
]
