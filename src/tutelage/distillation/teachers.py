"""``Teachers``, an ensemble of teachers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn as nn
from torch import Tensor

from tutelage.distillation.base import BaseTeacher
from tutelage.distillation.teacher import Teacher
from tutelage.errors import TutelageError
from tutelage.terms import LOGITS, ComputedTap


class Teachers(BaseTeacher):
    """Several frozen networks, each with its own normalization, for methods that read only logits.

    :meth:`features` returns the stacked logits of the members, (M, B, K); the method chooses how to average them. A
    call returns the logarithm of their mean probability.

    Args:
        members: The teachers, all with the same classes.

    Example:
        >>> from tutelage import Teacher, create_model
        >>> teachers = Teachers([Teacher(create_model("resnet8", 5)), Teacher(create_model("wrn_10_1", 5))])
        >>> teachers.name
        'resnet8 + wrn_10_1'
        >>> teachers.read((), logits=True)
        >>> teachers.features(torch.rand(4, 3, 16, 16))["logits"].shape
        torch.Size([2, 4, 5])
    """

    def __init__(self, members: Sequence[Teacher]) -> None:
        super().__init__()
        self._members = nn.ModuleList(members)
        self.eval()

    @property
    def members(self) -> list[Teacher]:
        """The teachers, in the order in which they were passed."""
        return list(self._members)  # type: ignore[arg-type]

    @property
    def name(self) -> str:
        """The members' names, joined by ``+``."""
        return " + ".join(member.name for member in self.members)

    def read(
        self,
        taps: Sequence[str],
        logits: bool,
        mode: Literal["eval", "batch"] = "eval",
        computed: Sequence[ComputedTap] = (),
    ) -> None:
        """Set up every member to return its logits.

        Raises:
            TutelageError: If the method reads anything but logits.
        """
        if taps or computed:
            raise TutelageError(
                f"several teachers only work with methods that read logits, and this one also reads "
                f"{', '.join((*taps, *computed))}; use one teacher, or method=kd"
            )
        for member in self.members:
            member.read((), logits, mode)

    def features(self, images: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Return the members' logits, (M, B, K), under ``logits``."""
        return {LOGITS: torch.stack([member.features(images)[LOGITS] for member in self.members])}

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Return the logarithm of the members' mean probability, (B, K)."""
        return _log_mean_probability(self.members, images)

    def classifier(self) -> Callable[[Tensor], Tensor]:
        """Return a function that computes the same log probabilities as a call, with folded batch normalizations."""
        members = [member.classifier() for member in self.members]
        return lambda images: _log_mean_probability(members, images)

    def identity(self) -> dict[str, object]:
        """Return the entry for a run's records: the joined name and each member's identity."""
        return {"name": self.name, "members": [member.identity() for member in self.members]}


def _log_mean_probability(members: Sequence[Callable[[Tensor], Tensor]], images: Tensor) -> Tensor:
    return torch.stack([member(images).softmax(1) for member in members]).mean(0).log()
