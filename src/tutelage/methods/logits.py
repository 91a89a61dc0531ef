"""Terms that compare the logits of the student with those of the teacher, or with the mean of several teachers'."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from torch import Tensor

from tutelage.losses import ensemble_target, kd_target
from tutelage.methods.base import Pair
from tutelage.terms import LOGITS, Kept, Term, Weighting


def mean_logits(pair: Pair, *, whole: bool) -> tuple[Callable[[Tensor], Tensor], Kept]:
    """Return the target that all losses on logits share, and its description.

    Args:
        pair: The probed networks.
        whole: Whether the loss needs the logits of all classes; ``cache.top_k`` is then refused.
    """
    if pair.teachers == 1:
        return kd_target, replace(Kept.of("logits", "logits"), whole=whole)
    kept = Kept.of("logits", "ensemble", average="logits")
    return partial(ensemble_target, average="logits"), replace(kept, whole=whole)


def term_on_logits(
    name: str,
    weight: float,
    pair: Pair,
    match: Callable[..., Tensor],
    *batch: str,
    weighting: Weighting | None = None,
    relational: bool = False,
) -> Term:
    """Return a term with a loss that needs the logits of all classes.

    Args:
        name: Name of the term.
        weight: Weight of the term.
        pair: The probed networks.
        match: The loss, of the logits of student and teacher and the values of ``batch``.
        *batch: Taps of the batch that ``match`` reads, such as ``LABELS``.
        weighting: Factor of the weight by epoch. None for 1.
        relational: Whether the loss relates the samples of a batch to each other.
    """
    target, kept = mean_logits(pair, whole=True)
    return Term(
        name,
        weight,
        (LOGITS, *batch),
        (LOGITS,),
        target,
        match,
        kept=kept,
        weighting=weighting,
        relational=relational,
    )
