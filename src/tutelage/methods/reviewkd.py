"""Knowledge review (ReviewKD)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from torch import Tensor

from tutelage.connectors import ReviewKDConnector
from tutelage.losses import reviewkd_loss
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.terms import EMBEDDING, Stage, Term, WarmUp

Taps = tuple[str, str]
"""Pair (teacher tap, student tap)."""


@METHODS.register("reviewkd")
class ReviewKD(Method):
    """Knowledge review: CE + min(1, (epoch + 1) / 20)·w·Σ_levels HCL(U_i, F_t,i).

    U_i is the student's map of level i, fused by attention with all deeper levels and mapped to the teacher's shape
    (``ReviewKDConnector``). HCL is the mean squared error at full resolution and pooled to 4×4, 2×2 and 1×1, with the
    weights 1, ½, ¼ and ⅛ over their sum. The embedding is the deepest level, a 1×1 map. Chen, Liu, Zhao and Jia,
    "Distilling Knowledge via Knowledge Review", CVPR 2021 (arXiv:2104.09044).

    * The defaults w = 1 and 20 epochs of warm-up are those of the authors' CIFAR-100 code. Their w depends on the pair
      of networks (0.6 to 8).
    * The teacher's maps are read before their activation and the student's after it, as in the authors' code.
    * The authors count epochs from 0, so that w is 0 in their first epoch. They leave the teacher in train mode; here
      it is in eval mode.

    Example:
        >>> ReviewKD(weight=5).warmup
        20
    """

    group: ClassVar[Group] = "maps"
    matches: ClassVar[str] = "maps, fused with deeper"

    weight: float = Field(1.0, ge=0, description="w, the factor of the sum over levels")
    warmup: int = Field(20, ge=0, description="epochs over which the weight rises linearly; 0: none")
    taps: dict[str, str] | None = Field(
        None, description="teacher tap: student tap, shallow to deep; paired levels where not given"
    )

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with one term for all levels."""
        return [Stage("train", pair.epochs, (self._term(pair, self._pairs(pair)),))]

    def _pairs(self, pair: Pair) -> list[Taps]:
        pairs = pair.taps(self.taps, "reviewkd")
        if self.taps is not None:
            return pairs
        return [(theirs, ours) for (theirs, _), (_, ours) in zip(pair.before_activation(pairs), pairs)]

    def _term(self, pair: Pair, pairs: list[Taps]) -> Term:
        assert pair.teacher is not None
        teacher_taps, student_taps = zip(*pairs)
        teachers, students = zip(*(pair.shapes(*taps) for taps in pairs))
        embeddings = pair.teacher.shape(EMBEDDING), pair.student.shape(EMBEDDING)
        return Term(
            "reviewkd",
            self.weight,
            (*student_taps, EMBEDDING),
            (*teacher_taps, EMBEDDING),
            _target,
            _match,
            ReviewKDConnector((*students, embeddings[1]), (*teachers, embeddings[0])),
            weighting=WarmUp(self.warmup),
        )


def _target(*features: Tensor) -> tuple[Tensor, ...]:
    """Return the teacher's maps and its embedding, as a 1×1 map."""
    *maps, embedding = features
    return (*maps, embedding[:, :, None, None])


def _match(*features: Tensor | tuple[Tensor, ...]) -> Tensor:
    *fused, target = features
    return reviewkd_loss(fused, target)  # type: ignore[arg-type]
