"""Wasserstein distance between features (WKD-F)."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from pydantic import Field

from tutelage.connectors import projector
from tutelage.losses import wkd_f_match, wkd_f_target
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.terms import CosineDecay, Kept, Stage, Term


@METHODS.register("wkd_f")
class WKDF(Method):
    """WKD-F: CE + w · (γ·Σ_c (μ_s − μ_t)² + Σ_c (σ_s − σ_t)²), a Wasserstein distance between Gaussians of features.

    μ and σ are the mean and the deviation of a channel over the positions of the last level's map, the student's after
    a 1×1 convolution with batch normalization and ReLU. With ``grid=g``, they belong to each of g×g cells, and the sum
    is averaged over the cells. Lv, Yang and Li, "Wasserstein Distance Rivals Kullback-Leibler Divergence for Knowledge
    Distillation", NeurIPS 2024 (arXiv:2412.08139).

    * The authors choose w (0.02 to 0.5), γ (2 to 8) and the grid (1 or 4) for each pair of networks. The defaults are
      the smallest of these values.
    * w falls to 0 by a cosine from epoch 150 of 240 on (``decay_from``), as in their code for CIFAR-100.
    * The connector ends in a ReLU if the teacher's map does; theirs always does.

    Example:
        >>> WKDF(ratio=8, grid=4).decay_from
        0.625
    """

    group: ClassVar[Group] = "maps"
    matches: ClassVar[str] = "mean, deviation of maps"

    weight: float = Field(0.02, ge=0, description="w")
    ratio: float = Field(2.0, ge=0, description="γ, weight of the means relative to that of the deviations")
    grid: int = Field(1, ge=1, description="cells per side")
    decay_from: float = Field(0.625, ge=0, lt=1, description="share of the epochs after which w falls to 0")
    taps: dict[str, str] | None = Field(None, description="teacher tap: student tap; the last pair where not given")

    def stages(self, pair: Pair) -> list[Stage]:
        """Return one stage with a term for each pair of taps."""
        pairs = pair.taps(self.taps, "wkd_f")
        chosen = pairs[-1:] if self.taps is None else pairs
        return [Stage("train", pair.epochs, tuple(self._term(pair, *taps) for taps in chosen))]

    def _term(self, pair: Pair, teacher_tap: str, student_tap: str) -> Term:
        teacher, student = pair.shapes(teacher_tap, student_tap)
        return Term(
            f"wkd_f.{student_tap}",
            self.weight,
            (student_tap,),
            (teacher_tap,),
            partial(wkd_f_target, grid=self.grid),
            partial(wkd_f_match, ratio=self.ratio, grid=self.grid),
            projector(student, teacher, relu=pair.after_activation(teacher_tap)),
            kept=Kept.of("statistic", "moments", teacher_tap, grid=self.grid),
            weighting=CosineDecay(self.decay_from),
        )
