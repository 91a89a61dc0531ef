"""FitNets: hints from a teacher's hidden layer, in two stages or joined with the task."""

from __future__ import annotations

from functools import partial
from typing import Literal

import torch
import torch.nn as nn
from pydantic import Field

from tutelage.connectors import AsMap, projector, regressor
from tutelage.errors import TutelageError
from tutelage.losses import hint_match, hint_target
from tutelage.methods.base import METHODS, Method, Pair
from tutelage.methods.kd import logits_term
from tutelage.taps import as_map
from tutelage.terms import OptimizerSettings, ScheduleSettings, Stage, Term

HintForm = Literal["mean", "paper", "normalized"]

HINT_WEIGHTS: dict[HintForm, float] = {"mean": 100.0, "paper": 1.0, "normalized": 10.0}
"""The published weight of each form of the loss; one is meaningless with another's form."""


@METHODS.register("fitnets")
class FitNets(Method):
    """FitNets: the student first learns to predict the teacher's hint, then is trained with KD.

    Two stages (default): "hint" trains the student up to its guided layer, with a regressor r, on ‖F_t − r(F_s)‖²; both
    networks run no deeper. "kd" then trains the whole student on (1 − α)·CE + α·T²·KL. The hint layer is the middle one
    of the paired stages. ``hint_epochs`` are part of the run's epochs, so that a comparison is at equal budget.

    ``joint=true``: one stage, CE + 10·Σ hint over the last two paired stages + KL, both hints flattened and
    L2-normalised, connectors 1×1 convolution + BN (+ ReLU after a ReLU). This is the backbone-and-logits form published
    with ResNet-50 → ResNet-18 (70.58 %); there the KL (T = 6, weight 10) is divided by the number of classes K as
    well, which is a weight of 10 / K on ``kd_loss``.

    Romero et al., FitNets: Hints for Thin Deep Nets, ICLR 2015 (arXiv:1412.6550). The paper's stage 1 has ½ Σ and
    RMSProp, its stage 2 has T = 3 and no T²; here T = 4 and α = 0.9.
    """

    joint: bool = False
    form: HintForm | None = Field(None, description="of the hint loss: mean where two-stage, normalized where joint")
    weight: float | None = Field(None, ge=0, description="of each hint; the form's published weight where not given")
    taps: dict[str, str] | None = Field(None, description="teacher tap: student tap of each hint")
    temperature: float | None = Field(None, gt=0, description="4 where two-stage, 6 where joint")
    alpha: float = Field(0.9, ge=0, le=1, description="weight of KL in stage 2 (two-stage only)")
    hint_epochs: int | None = Field(None, ge=1, description="length of stage 1; a fifth of the epochs where not given")
    hint_lr: float = Field(1e-3, gt=0, description="peak rate of stage 1 (AdamW: its step does not depend on the form)")

    def stages(self, pair: Pair) -> list[Stage]:
        """Returns the stages "hint" and "kd", or the one joint stage."""
        return self._joint(pair) if self.joint else self._two_stages(pair)

    def _two_stages(self, pair: Pair) -> list[Stage]:
        pairs = pair.taps(self.taps, "fitnets")
        hints = pairs if self.taps is not None else [pairs[(len(pairs) - 1) // 2]]
        epochs = self.hint_epochs or max(1, round(pair.epochs / 5))
        if epochs >= pair.epochs:
            raise TutelageError(
                f"fitnets: {epochs} of {pair.epochs} epochs would go to the hint stage and none would be left for the "
                f"second: raise epochs (now {pair.epochs}) or lower fitnets.hint_epochs"
            )
        terms = tuple(self._hint(pair, *taps, form=self.form or "mean") for taps in hints)
        optimizer = OptimizerSettings(name="adamw", lr=self.hint_lr, weight_decay=0.0)
        hint = Stage("hint", epochs, terms, task_weight=0.0, optimizer=optimizer, schedule=ScheduleSettings())
        logits = logits_term(self.alpha, self.temperature or 4.0)
        return [hint, Stage("kd", pair.epochs - epochs, (logits,), task_weight=1 - self.alpha)]

    def _joint(self, pair: Pair) -> list[Stage]:
        pairs = pair.taps(self.taps, "fitnets")
        hints = pairs if self.taps is not None else pairs[-2:]
        terms = [self._hint(pair, *taps, form=self.form or "normalized") for taps in hints]
        classes = pair.student.num_classes
        assert classes is not None
        terms.append(logits_term(10.0 / classes, self.temperature or 6.0))
        return [Stage("train", pair.epochs, tuple(terms))]

    def _hint(self, pair: Pair, teacher_tap: str, student_tap: str, form: HintForm) -> Term:
        teacher, student = pair.shapes(teacher_tap, student_tap)
        build = projector if self.joint else regressor
        connector = build(student, teacher, relu=pair.after_activation(teacher_tap)).eval()
        size = connector(torch.zeros(1, *student)).shape[2:]
        return Term(
            f"hint.{student_tap}",
            HINT_WEIGHTS[form] if self.weight is None else self.weight,
            (student_tap,),
            (teacher_tap,),
            lambda feature: hint_target(as_map(feature), size=size, form=form),
            partial(hint_match, form=form),
            nn.Sequential(AsMap(), connector.train()),
        )
