"""Neuron selectivity transfer (NST)."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import Field

from tutelage.losses import nst_match, nst_target
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.terms import Kept, Stage, Term


@METHODS.register("nst")
class NST(Method):
    """Neuron selectivity transfer: CE + w·Σ_levels MMD² between the unit-norm channel maps of student and teacher.

    MMD² = mean_ij k(t_i, t_j) + mean_ij k(s_i, s_j) − 2 mean_ij k(s_i, t_j), where t_i and s_j are the flattened maps
    of the channels, each of unit L2 norm. Huang and Wang, "Like What You Like: Knowledge Distill via Neuron Selectivity
    Transfer", 2017 (arXiv:1707.01219).

    ``layers="all"`` with the polynomial kernel and w = 50 is the form of the CRD benchmark, whose results are quoted
    most often. ``layers="last"``, the last pair before its activation, is the authors' form.

    Example:
        >>> NST(kernel="gaussian", bandwidth=0.5).layers
        'all'
    """

    group: ClassVar[Group] = "maps"
    matches: ClassVar[str] = "distributions of channels"

    weight: float = Field(50.0, ge=0, description="w, the factor of each pair's loss (λ/2 in the paper)")
    kernel: Literal["polynomial", "linear", "gaussian"] = "polynomial"
    degree: int = Field(2, ge=1, description="polynomial only: d in (xᵀy + c)^d")
    offset: float = Field(0.0, ge=0, description="polynomial only: c")
    bandwidth: float | None = Field(
        None, gt=0, description="gaussian only: σ²; null: the mean squared distance over channel pairs"
    )
    layers: Literal["all", "last"] = Field(
        "all", description="all paired levels, or the last one before its activation"
    )
    taps: dict[str, str] | None = Field(None, description="teacher tap: student tap; null: those of layers")

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with a term for each pair of taps."""
        pairs = pair.taps(self.taps, "nst")
        if self.taps is None and self.layers == "last":
            pairs = pair.before_activation(pairs[-1:])
        return [Stage("train", pair.epochs, tuple(self._term(pair, *taps, alone=len(pairs) == 1) for taps in pairs))]

    def _term(self, pair: Pair, teacher_tap: str, student_tap: str, alone: bool) -> Term:
        size = pair.common_size(teacher_tap, student_tap)
        kernel: dict[str, Any] = {"size": size, "kernel": self.kernel, "degree": self.degree, "offset": self.offset}
        # Storing the maps of all levels costs more than recomputing them; storing one level may be worthwhile.
        kept = Kept.of("features", "nst", teacher_tap, **kernel) if alone else None
        return Term(
            f"nst.{student_tap}",
            self.weight,
            (student_tap,),
            (teacher_tap,),
            partial(nst_target, **kernel),
            partial(nst_match, **kernel, bandwidth=self.bandwidth),
            kept=kept,
        )
