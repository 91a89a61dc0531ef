"""Helpers of the losses on logits: checks and divergences per sample."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses.shapes import require_same_shape


def require_logits(student: Tensor, teacher: Tensor, place: str) -> None:
    """Raise TutelageError unless both tensors hold one logit per class for the same number of samples."""
    require_same_shape(student, teacher, place, "both networks need one logit per class of the data")


def require_temperature(temperature: float, place: str, usual: float = 4.0) -> None:
    """Raise TutelageError unless ``temperature`` is positive."""
    require_positive(temperature, "temperature", place, usual)


def require_positive(value: float, name: str, place: str, usual: float) -> None:
    """Raise TutelageError unless the setting ``name`` is positive."""
    if value <= 0:
        raise TutelageError(f"{place}: {name} {value} must be positive; the usual value is {usual}")


def softmax_kl(student: Tensor, teacher: Tensor) -> Tensor:
    """Return KL(softmax(teacher) ‖ softmax(student)) of each sample (B,), for logits (B, K)."""
    # The bound lets a class with teacher logit −inf contribute 0, not NaN.
    teacher_log = F.log_softmax(teacher, dim=1).clamp_min(torch.finfo(teacher.dtype).min)
    # Written out, because torch.nn.functional.kl_div is a loop under torch.vmap, which `sdd_loss` uses.
    return (teacher_log.exp() * (teacher_log - F.log_softmax(student, dim=1))).sum(1)


def softmax_cross_entropy(student: Tensor, teacher: Tensor) -> Tensor:
    """Return −Σ softmax(teacher)·log softmax(student) of each sample (B,), for logits (B, K)."""
    return F.cross_entropy(student, F.softmax(teacher, dim=1), reduction="none")


def binary_kl(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the KL divergence between two Bernoulli distributions, element by element, from their log-odds."""
    return _share(student, teacher) + _share(-student, -teacher)


def _share(student: Tensor, teacher: Tensor) -> Tensor:
    """The summand p_t·(log p_t − log p_s) of one of the two outcomes."""
    return teacher.sigmoid() * (F.logsigmoid(teacher) - F.logsigmoid(student))
