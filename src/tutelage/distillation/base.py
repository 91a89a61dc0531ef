"""The interface shared by one teacher and several."""

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
    """One frozen teacher (:class:`Teacher`) or several (:class:`Teachers`).

    Called with images, it returns logits (B, K). Properties of a single network, such as its normalization, are
    attributes of each of :attr:`members`.
    """

    def train(self, mode: bool = True) -> BaseTeacher:
        """Stay in eval mode regardless of ``mode``: running statistics must not change while a student trains."""
        return super().train(False)

    @property
    @abstractmethod
    def members(self) -> list[Teacher]:
        """The individual teachers, one per network."""

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
        """Set which activations :meth:`features` returns; the networks then run only as deep as needed.

        Call it again if the weights change, because folded layers are copies.

        Args:
            taps: The modules whose activations are read.
            logits: Whether the logits are read too, under the key ``logits``.
            mode: ``eval`` folds batch normalizations into the convolutions before them. ``batch`` normalizes by each
                batch's own statistics; no buffer changes.
            computed: Taps whose values are computed from the network; they need its logits.
        """

    @abstractmethod
    def features(self, images: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Return the detached activations chosen by :meth:`read`, by tap.

        Args:
            images: (B, 3, H, W), in the range that the normalizations expect.
            labels: (B,), only needed for computed taps that read them.
        """

    @abstractmethod
    def classifier(self) -> Callable[[Tensor], Tensor]:
        """Return a function that computes the same logits as a call, but faster: batch normalizations are folded."""

    @abstractmethod
    def identity(self) -> dict[str, object]:
        """Return the entry for a run's records: names, sources, classes, parameters and hashes of the weights."""
