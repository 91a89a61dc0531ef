"""Factor transfer (FT)."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Literal

import torch.nn as nn
from pydantic import Field
from torch import Tensor

from tutelage.connectors import Paraphraser, translator
from tutelage.losses import ft_match, ft_paraphraser_loss, ft_target
from tutelage.methods.base import METHODS, Group, Method, Pair
from tutelage.terms import PretrainOptimizer, Schedule, Stage, Term

Form = Literal["paper", "repdistiller"]

WEIGHTS: dict[Form, float] = {"paper": 500.0, "repdistiller": 200.0}
"""Published weight of each form."""


@METHODS.register("ft")
class FT(Method):
    """Factor transfer: CE + w·mean abs(n(r(F_s)) − n(f(F_t))) with factors of the maps, after a stage that trains f.

    Stage "paraphraser" trains an autoencoder on the teacher's last map (L1 distance to the reconstruction); the student
    does not run. Its encoder f, the paraphraser, is then frozen. Stage "train" trains the student and its translator r.
    The epochs of the first stage are part of the run's epochs. Kim, Park and Kwak, "Paraphrasing Complex Network:
    Network Compression via Factor Transfer", NeurIPS 2018 (arXiv:1802.04977).

    * ``form="paper"``: n flattens a factor and scales it to unit L2 norm, as in the authors' code (w = 500).
    * ``form="repdistiller"``: n is the attention map of a factor, and the translator has batch normalization (w = 200).

    Example:
        >>> FT(form="repdistiller", factor=0.75).weight is None
        True
    """

    group: ClassVar[Group] = "maps"
    matches: ClassVar[str] = "factors of a map"

    weight: float | None = Field(None, ge=0, description="w; the form's published weight where not given")
    form: Form = "paper"
    factor: float = Field(0.5, gt=0, description="channels of the factor, as a share of the teacher's")
    taps: dict[str, str] | None = Field(
        None, description="teacher tap: student tap; the last paired level if not given"
    )
    epochs: int | None = Field(None, ge=1, description="length of the first stage; a fifth of the run's if not given")
    optimizer: PretrainOptimizer = Field(PretrainOptimizer(), description="of the first stage")
    schedule: Schedule = Field(Schedule(), description="of the first stage")

    def stages(self, pair: Pair) -> list[Stage]:
        """Return the stages "paraphraser" and "train"."""
        epochs = pair.first_epochs(self.epochs, "ft.epochs")
        pairs = pair.taps(self.taps, "ft")
        terms = [self._terms(pair, *taps) for taps in (pairs if self.taps is not None else pairs[-1:])]
        before, after = zip(*terms)
        first = Stage("paraphraser", epochs, before, task_weight=0.0, optimizer=self.optimizer, schedule=self.schedule)
        return [first, Stage("train", pair.epochs - epochs, after)]

    def _terms(self, pair: Pair, teacher_tap: str, student_tap: str) -> tuple[Term, Term]:
        teacher, student = pair.shapes(teacher_tap, student_tap)
        size = pair.common_size(teacher_tap, student_tap)
        paraphraser = Paraphraser(teacher[0], k=self.factor)
        translated = translator(student[0], int(teacher[0] * self.factor), norm=self.form == "repdistiller")
        before = Term(
            f"paraphraser.{teacher_tap}",
            1.0,
            (),
            (teacher_tap,),
            lambda features: features,
            _Reconstruction(paraphraser),
        )
        after = Term(
            f"ft.{student_tap}",
            WEIGHTS[self.form] if self.weight is None else self.weight,
            (student_tap,),
            (teacher_tap,),
            _Factor(paraphraser, partial(ft_target, size=size, form=self.form)),
            partial(ft_match, size=size, form=self.form),
            translated,
        )
        return before, after


class _Reconstruction(nn.Module):
    """The loss of the paraphraser's own training."""

    def __init__(self, paraphraser: Paraphraser) -> None:
        super().__init__()
        self.paraphraser = paraphraser

    def forward(self, features: Tensor) -> Tensor:
        return ft_paraphraser_loss(self.paraphraser.reconstruct(features), features)

    def train(self, mode: bool = True) -> _Reconstruction:
        """Train the paraphraser, which the next stage shares and freezes."""
        self.paraphraser.requires_grad_(True)
        return super().train(mode)


class _Factor(nn.Module):
    """The target of the student: the factor of the trained paraphraser, normalized."""

    def __init__(self, paraphraser: Paraphraser, normalized: partial[Tensor]) -> None:
        super().__init__()
        self.paraphraser = paraphraser
        self.normalized = normalized

    def forward(self, features: Tensor) -> Tensor:
        return self.normalized(self.paraphraser(features))

    def train(self, mode: bool = True) -> _Factor:
        """Freeze the paraphraser regardless of ``mode``."""
        self.paraphraser.requires_grad_(False)
        return super().train(False)
