"""FitNets: hints from a hidden layer of the teacher, in a stage before KD or together with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

import torch.nn as nn
from pydantic import Field, model_validator

from tutelage.connectors import paper_regressor, projector, regressor
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.methods.hints import HintForm, hint_term
from tutelage.methods.kd import logits_term
from tutelage.terms import PretrainOptimizer, Schedule, Stage, Term

Regressor = Literal["benchmark", "projector", "paper"]

REGRESSORS: dict[Regressor, Callable[..., nn.Module]] = {
    "benchmark": regressor,
    "projector": projector,
    "paper": paper_regressor,
}

HINT_WEIGHTS: dict[HintForm, float] = {"mean": 100.0, "paper": 1.0, "normalized": 10.0}
"""Published weight of each form of the hint loss; the forms have different scales."""


@METHODS.register("fitnets")
class FitNets(Method):
    """FitNets: the student first learns to predict the teacher's hint, and is then trained with KD.

    Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015 (arXiv:1412.6550). There are two forms:

    * Two stages (default). Stage "hint" trains the student up to its guided layer, with a regressor r, on
      ‖F_t − r(F_s)‖²; deeper layers do not run. Stage "kd" then trains the whole student on (1 − α)·CE + α·T²·KL. The
      hint layer is the middle one of the paired levels. ``hint_epochs`` are part of the run's epochs, so that methods
      are compared at equal budget.
    * One stage (``joint=true``): CE + 10·Σ hint over the last two paired levels + KL. Hints are flattened and
      L2-normalized; connectors are a 1×1 convolution and BN, with a ReLU if the teacher's map follows a ReLU. This is
      the backbone-and-logits form published with ResNet-50 → ResNet-18 (70.58 %). There, the KL (T = 6, weight 10) is
      also divided by the number of classes K, which equals a weight of 10 / K on ``kd_loss``.

    To follow the paper, set ``form=paper`` and ``regressor=paper`` (a convolution without normalization, which the
    paper follows with maxout). In its second stage, the paper adds λ times the cross-entropy with the softened teacher
    to CE: ``temperature=3``, ``squared_temperature=false`` (no factor T²), and ``kd_weight=4`` falling linearly to
    ``final_kd_weight=1``.

    Example:
        >>> FitNets(hint_epochs=30, alpha=0.5).joint
        False
    """

    group: ClassVar[Group] = "maps"
    matches: ClassVar[str] = "one map, then outputs"

    joint: bool = False
    form: HintForm | None = Field(None, description="form of the hint loss; null: normalized if joint, else mean")
    weight: float | None = Field(None, ge=0, description="weight of each hint; null: the published weight of the form")
    taps: dict[str, str] | None = Field(
        None, description="teacher tap: student tap of each hint; null: chosen from the paired levels"
    )
    regressor: Regressor | None = Field(
        None, description="connector of each hint; null: projector if joint, else benchmark"
    )
    temperature: float | None = Field(None, gt=0, description="temperature of KL; null: 6 if joint, else 4")
    squared_temperature: bool = Field(True, description="whether KL has the factor T²")
    alpha: float = Field(0.9, ge=0, le=1, description="weight of KL in stage 2, if kd_weight is null")
    kd_weight: float | None = Field(
        None, ge=0, description="weight of KL, with a CE of weight 1; null: 10 / classes if joint, else alpha applies"
    )
    final_kd_weight: float | None = Field(
        None, ge=0, description="kd_weight at the end, reached linearly; null: constant"
    )
    hint_epochs: int | None = Field(None, ge=1, description="epochs of stage 1; null: a fifth of the run")
    hint_optimizer: PretrainOptimizer = Field(PretrainOptimizer(), description="optimizer of stage 1")
    hint_schedule: Schedule = Field(Schedule(), description="schedule of stage 1")

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> FitNets:
        if self.joint and self.hint_epochs is not None:
            raise ValueError("fitnets.joint=true has only one stage; remove fitnets.hint_epochs")
        if self.final_kd_weight is not None and self.kd_weight is None:
            raise ValueError("fitnets.final_kd_weight needs fitnets.kd_weight to start from; set both")
        return self

    def stages(self, pair: Pair) -> list[Stage]:
        """Return the stages "hint" and "kd", or one joint stage."""
        return self._joint(pair) if self.joint else self._two_stages(pair)

    def _two_stages(self, pair: Pair) -> list[Stage]:
        pairs = pair.taps(self.taps, "fitnets")
        hints = pairs if self.taps is not None else [pairs[(len(pairs) - 1) // 2]]
        epochs = pair.first_epochs(self.hint_epochs, "fitnets.hint_epochs")
        terms = tuple(self._hint(pair, *taps) for taps in hints)
        hint = Stage("hint", epochs, terms, task_weight=0.0, optimizer=self.hint_optimizer, schedule=self.hint_schedule)
        if self.kd_weight is None:
            logits, task_weight = self._logits(pair, self.alpha), 1 - self.alpha
        else:
            logits, task_weight = self._logits(pair, self.kd_weight), 1.0
        return [hint, Stage("kd", pair.epochs - epochs, (logits,), task_weight=task_weight)]

    def _joint(self, pair: Pair) -> list[Stage]:
        pairs = pair.taps(self.taps, "fitnets")
        hints = pairs if self.taps is not None else pairs[-2:]
        terms = [self._hint(pair, *taps) for taps in hints]
        weight = 10.0 / pair.classes if self.kd_weight is None else self.kd_weight
        if weight > 0:
            terms.append(self._logits(pair, weight))
        return [Stage("train", pair.epochs, tuple(terms))]

    def _logits(self, pair: Pair, weight: float) -> Term:
        temperature = self.temperature or (6.0 if self.joint else 4.0)
        scale = 1.0 if self.squared_temperature else temperature**-2
        final = None if self.final_kd_weight is None else self.final_kd_weight * scale
        return logits_term(pair, weight * scale, temperature, final_weight=final)

    def _hint(self, pair: Pair, teacher_tap: str, student_tap: str) -> Term:
        form = self.form or ("normalized" if self.joint else "mean")
        weight = HINT_WEIGHTS[form] if self.weight is None else self.weight
        build = REGRESSORS[self.regressor or ("projector" if self.joint else "benchmark")]
        return hint_term("hint", pair, teacher_tap, student_tap, weight, form, build)
