"""Activation boundaries (AB)."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Literal

import torch
from pydantic import Field

from tutelage.connectors import ab_connector
from tutelage.losses import ab_match, ab_target
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.terms import PretrainOptimizer, Schedule, Stage, Term


@METHODS.register("ab")
class AB(Method):
    """Activation boundaries: the student first learns where the teacher's neurons are active, then the task.

    Stage "ab" minimizes Σ_i w·2^−(L−1−i)·d(r(F_s), F_t), features before their ReLU, where d is the squared hinge
    Σ (s + m)²·1(s > −m, t ≤ 0) + (s − m)²·1(s ≤ m, t > 0), summed over c, h, w and averaged over the batch. Layers
    deeper than the last tap do not run. Stage "task" trains on CE. The epochs of the first stage are part of the run's
    epochs. r is a convolution with batch normalization where the shapes differ. Heo et al., "Knowledge Transfer via
    Distillation of Activation Boundaries Formed by Hidden Neurons", AAAI 2019 (arXiv:1811.03233).

    The defaults are those of RepDistiller. In the authors' code, the teacher normalizes by batch statistics in the
    first stage (``teacher_mode="batch"``), and the second stage is KD at T = 3 without CE.

    Example:
        >>> AB(margin=2).weight
        0.003
    """

    group: ClassVar[Group] = "maps"
    matches: ClassVar[str] = "activation boundaries"

    weight: float = Field(3e-3, ge=0, description="w, the factor of the deepest pair's loss")
    layer_decay: float = Field(0.5, gt=0, le=1, description="factor of a pair's loss against that of the next deeper")
    margin: float = Field(1.0, ge=0, description="m")
    teacher_mode: Literal["eval", "batch"] = Field("eval", description="statistics of the teacher's normalizations")
    taps: dict[str, str] | None = Field(
        None, description="teacher tap: student tap; paired levels before their activations where not given"
    )
    epochs: int | None = Field(None, ge=1, description="length of the first stage; a fifth of the run's if not given")
    optimizer: PretrainOptimizer = Field(PretrainOptimizer(), description="of the first stage")
    schedule: Schedule = Field(Schedule(), description="of the first stage")

    def stages(self, pair: Pair) -> list[Stage]:
        """Return the stages "ab" and "task"."""
        epochs = pair.first_epochs(self.epochs, "ab.epochs")
        pairs = pair.taps(self.taps, "ab")
        if self.taps is None:
            pairs = pair.before_activation(pairs)
        weights = [self.weight * self.layer_decay**deeper for deeper in reversed(range(len(pairs)))]
        first = Stage(
            "ab",
            epochs,
            tuple(self._term(pair, weight, *taps) for weight, taps in zip(weights, pairs)),
            task_weight=0.0,
            optimizer=self.optimizer,
            schedule=self.schedule,
            teacher_mode=self.teacher_mode,
        )
        return [first, Stage("task", pair.epochs - epochs)]

    def _term(self, pair: Pair, weight: float, teacher_tap: str, student_tap: str) -> Term:
        teacher, student = pair.shapes(teacher_tap, student_tap)
        connector = ab_connector(student, teacher).eval()
        height, width = connector(torch.zeros(1, *student)).shape[2:]
        return Term(
            f"ab.{student_tap}",
            weight,
            (student_tap,),
            (teacher_tap,),
            partial(ab_target, size=(min(height, teacher[1]), min(width, teacher[2]))),
            partial(ab_match, margin=self.margin),
            connector.train(),
        )
