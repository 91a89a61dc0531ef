"""Terms on embeddings, the inputs of the classifiers."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn as nn
from torch import Tensor

from tutelage.methods.base import Pair
from tutelage.terms import EMBEDDING, Kept, Term


def term_on_embeddings(
    name: str,
    weight: float,
    match: Callable[..., Tensor],
    connector: nn.Module | None = None,
    *batch: str,
    relational: bool = False,
) -> Term:
    """Return a term between the embeddings of student and teacher. All such terms share one cached target.

    Args:
        name: Name of the term.
        weight: Weight of the term.
        match: Function of the student's embeddings, the teacher's and the values of ``batch``, or module.
        connector: Module for the student's embeddings.
        *batch: Taps of the batch that ``match`` reads, such as ``INDEX``.
        relational: Whether the loss relates the samples of a batch to each other.
    """
    kept = Kept.of("embedding", "embedding")
    return Term(
        name,
        weight,
        (EMBEDDING, *batch),
        (EMBEDDING,),
        lambda embedding: embedding,
        match,
        connector,
        kept=kept,
        relational=relational,
    )


def widths(pair: Pair) -> tuple[int, int]:
    """Return the widths of the embeddings, student first.

    Raises:
        TutelageError: If a network has no embedding.
    """
    assert pair.teacher is not None
    (student,), (teacher,) = pair.student.shape(EMBEDDING), pair.teacher.shape(EMBEDDING)
    return student, teacher
