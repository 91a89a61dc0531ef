"""Losses as public repositories implement them: the same values as in tutelage, without its optimizations.

Each function takes the features of the student, after the connectors, and of the teacher, as lists in the order of a
term's taps: maps (B, C, H, W) or logits (B, K). It returns the unweighted loss, a scalar, for the method's default
settings.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tutelage.losses import ofd_margin
from tutelage.taps import norm_before
from tutelage.terms import Stage, Term

Naive = Callable[[list[Tensor], list[Tensor]], Tensor]

TEMPERATURE = 4.0


def naive_losses(stage: Stage, teacher: nn.Module | None) -> list[Naive] | None:
    """Return the naive losses of a stage's terms, or None if a term has no naive loss."""
    losses = [loss for term in stage.terms if (loss := _naive_loss(term, teacher)) is not None]
    return losses if len(losses) == len(stage.terms) else None


def _naive_loss(term: Term, teacher: nn.Module | None) -> Naive | None:
    kind = term.name.split(".")[0]
    if kind != "ofd":
        return NAIVE.get(kind)
    assert teacher is not None
    norm = norm_before(teacher, term.teacher_taps[0])
    return None if norm is None else partial(ofd, margin=ofd_margin(norm.weight, norm.bias))


def kd(student: list[Tensor], teacher: list[Tensor]) -> Tensor:
    """Return T²·KL(p_t‖p_s) with p = softmax(z / T), averaged over the batch."""
    log_s = F.log_softmax(student[0] / TEMPERATURE, dim=1)
    p_t = F.softmax(teacher[0] / TEMPERATURE, dim=1)
    return F.kl_div(log_s, p_t, reduction="batchmean") * TEMPERATURE**2


def at(student: list[Tensor], teacher: list[Tensor]) -> Tensor:
    """Return the mean squared difference of unit-norm attention maps, which are means of F² over channels."""
    f_s, f_t = _same_size(student[0], teacher[0])
    return (_attention(f_s) - _attention(f_t)).pow(2).mean()


def _attention(f: Tensor) -> Tensor:
    return F.normalize(f.pow(2).mean(1).flatten(1))


def nst(student: list[Tensor], teacher: list[Tensor]) -> Tensor:
    """Return MMD² between unit-norm maps of channels with the kernel (xᵀy)², which takes (B, C, C, H·W) of memory."""
    f_s, f_t = (F.normalize(f.flatten(2), dim=2) for f in _same_size(student[0], teacher[0]))
    return _kernel(f_t, f_t).mean() + _kernel(f_s, f_s).mean() - 2 * _kernel(f_s, f_t).mean()


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    return (a.unsqueeze(1) * b.unsqueeze(2)).sum(-1).pow(2)


def fsp(student: list[Tensor], teacher: list[Tensor]) -> Tensor:
    """Return the squared Frobenius distance of FSP matrices, averaged over the batch; each takes (B, C, C, H·W)."""
    return (_flow(*student) - _flow(*teacher)).pow(2).sum((1, 2)).mean()


def _flow(a: Tensor, b: Tensor) -> Tensor:
    a, b = _same_size(a, b, F.adaptive_max_pool2d)
    return (a.flatten(2).unsqueeze(1) * b.flatten(2).unsqueeze(2)).mean(-1)


def hint(student: list[Tensor], teacher: list[Tensor]) -> Tensor:
    """Return the squared distance of flattened, unit-norm maps, averaged over the batch: joint FitNets."""
    f_s, f_t = (F.normalize(f.flatten(1)) for f in _same_size(student[0], teacher[0]))
    return (f_s - f_t).pow(2).sum(1).mean()


def ofd(student: list[Tensor], teacher: list[Tensor], margin: Tensor) -> Tensor:
    """Return the partial L2 distance to max(F_t, margin), summed over c, h, w and averaged over the batch.

    ``margin`` is (C,).
    """
    f_s, f_t = _same_size(student[0], teacher[0])
    target = torch.max(f_t, margin.view(1, -1, 1, 1))
    distance = F.mse_loss(f_s, target, reduction="none")
    mask = (f_s > target) | (target > 0)
    return (distance * mask.float()).sum() / f_s.shape[0]


def _same_size(
    a: Tensor, b: Tensor, pool: Callable[[Tensor, tuple[int, int]], Tensor] = F.adaptive_avg_pool2d
) -> tuple[Tensor, Tensor]:
    """Return both maps, the larger one pooled to the size of the smaller one."""
    if a.shape[2] > b.shape[2]:
        a = pool(a, (b.shape[2], b.shape[3]))
    elif a.shape[2] < b.shape[2]:
        b = pool(b, (a.shape[2], a.shape[3]))
    return a, b


NAIVE: dict[str, Naive] = {"kd": kd, "at": at, "nst": nst, "fsp": fsp, "hint": hint}
"""Losses by the part of a term's name before the dot, except ``ofd``, which needs a margin for each teacher tap."""
