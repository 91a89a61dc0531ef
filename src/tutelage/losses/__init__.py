"""Distillation losses: functions of tensors that fit any training loop.

Each loss comes whole, ``X_loss(student, teacher, …)``, and in two halves: ``X_target`` of the teacher's features
(detached, the smallest thing the loss needs, so that it can be cached) and ``X_match`` of the student's features with
that target. Autocast is off inside: half-precision tensors are computed in float32, float32 and float64 stay what they
are. Every loss is a scalar that averages over the batch, so that equal parts of a batch average to the whole.
"""

from tutelage.losses.attention import (
    attention_loss,
    attention_map,
    attention_match,
    attention_target,
    gradient_attention_loss,
)
from tutelage.losses.fsp import fsp_loss, fsp_match, fsp_matrix, fsp_target
from tutelage.losses.hint import hint_loss, hint_match, hint_target
from tutelage.losses.kd import ensemble_target, kd_loss, kd_match, kd_target
from tutelage.losses.nst import nst_loss, nst_match, nst_target
from tutelage.losses.ofd import ofd_loss, ofd_margin, ofd_match, ofd_measured_margin, ofd_target
from tutelage.losses.precision import full_precision

__all__ = [
    "attention_loss",
    "attention_map",
    "attention_match",
    "attention_target",
    "ensemble_target",
    "fsp_loss",
    "fsp_match",
    "fsp_matrix",
    "fsp_target",
    "full_precision",
    "gradient_attention_loss",
    "hint_loss",
    "hint_match",
    "hint_target",
    "kd_loss",
    "kd_match",
    "kd_target",
    "nst_loss",
    "nst_match",
    "nst_target",
    "ofd_loss",
    "ofd_margin",
    "ofd_match",
    "ofd_measured_margin",
    "ofd_target",
]
