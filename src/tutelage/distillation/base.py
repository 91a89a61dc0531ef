"""What one teacher and several have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import torch.nn as nn
from torch import Tensor

from tutelage.terms import ComputedTap

if TYPE_CHECKING:
    from tutelage.distillation.teacher import Teacher


class BaseTeacher(nn.Module, ABC):
    """Frozen networks that teach: one (:class:`Teacher`) or several (:class:`Teachers`).

    Called with images, it returns logits (B, K). What belongs to a single network, such as its normalization, is an
    attribute of each of :attr:`members`.
    """

    def train(self, mode: bool = True) -> BaseTeacher:
        """Stay in eval mode, whatever the caller asks: running statistics must not change while a student trains."""
        return super().train(False)

    @property
    @abstractmethod
    def members(self) -> list[Teacher]:
        """The networks, each as a teacher by itself."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the network, or the names joined by ``+``."""

    @abstractmethod
    def read(
        self,
        taps: Sequence[str],
        logits: bool,
        mode: Literal["eval", "batch"] = "eval",
        computed: Sequence[ComputedTap] = (),
    ) -> None:
        """Set what :meth:`features` returns; the networks then run no deeper than that needs.

        The weights are read at this moment.

        Args:
            taps: the modules whose activations are read.
            logits: whether the logits are read, under ``logits``.
            mode: ``eval`` folds batch normalizations into the convolutions before them. ``batch`` normalizes by each
                batch's own statistics; no buffer changes.
            computed: taps whose values are computed from the network; they need its logits.
        """

    @abstractmethod
    def features(self, images: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Return what :meth:`read` asked for, by tap, detached.

        ``labels`` (B,) are only needed for computed taps that read them.
        """

    @abstractmethod
    def classifier(self) -> Callable[[Tensor], Tensor]:
        """Return a function that maps images to logits as a call does, faster: batch normalizations are folded."""

    @abstractmethod
    def identity(self) -> dict[str, object]:
        """Return what a run records of its teacher: names, sources, classes, parameters and hashes of the weights."""
