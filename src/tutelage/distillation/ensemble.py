"""Several teachers as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn as nn
from torch import Tensor

from tutelage.distillation.teacher import Teacher
from tutelage.errors import TutelageError
from tutelage.terms import LOGITS


class Ensemble(Teacher):
    """Several frozen networks, each with its own normalisation, for methods that read nothing but logits.

    :meth:`features` gives the members' logits side by side, (M, B, K): how they are averaged is the method's choice.
    Called directly, it gives the logarithm of their mean probability.
    """

    def __init__(self, members: Sequence[Teacher]) -> None:
        super().__init__(members[0].network, members[0].normalization)
        self._members = nn.ModuleList(members).eval()

    @property
    def members(self) -> list[Teacher]:
        return list(self._members)  # type: ignore[arg-type]

    def read(
        self,
        taps: Sequence[str],
        logits: bool,
        mode: Literal["eval", "batch"] = "eval",
        image_gradient: bool = False,
    ) -> None:
        """Sets up every member; raises TutelageError where anything but logits is to be read."""
        if taps or image_gradient:
            read = ", ".join(taps) or "gradients"
            raise TutelageError(
                f"the method reads more than logits ({read}), which several teachers cannot share: give one teacher, "
                f"or a method that reads logits alone (method=kd)"
            )
        for member in self.members:
            member.read((), logits, mode)

    def features(self, images: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Returns the members' logits, (M, B, K), under ``logits``."""
        return {LOGITS: torch.stack([member.features(images)[LOGITS] for member in self.members])}

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Returns log of the mean of the members' probabilities, (B, K)."""
        return torch.stack([member(images).softmax(1) for member in self.members]).mean(0).log()

    def classifier(self) -> Callable[[Tensor], Tensor]:
        """Return a function that gives log of the mean of the members' probabilities, with folded normalizations."""
        members = [member.classifier() for member in self.members]
        return lambda images: torch.stack([member(images).softmax(1) for member in members]).mean(0).log()

    @property
    def name(self) -> str:
        return " + ".join(member.name for member in self.members)

    def identity(self) -> dict[str, object]:
        return {"name": self.name, "members": [member.identity() for member in self.members]}
