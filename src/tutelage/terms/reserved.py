"""Reserved taps: what a term reads from a network other than the activations of its modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from torch import Tensor

LOGITS = "logits"
"""The reserved tap of a network's output, (B, K)."""

Network = Callable[[Tensor], Mapping[str, Tensor]]
"""Runs a network on images in [0, 1]; returns the activations that its stage reads, by tap, with the logits."""


class ComputedTap(str):
    """A reserved tap with a value of its own: computed from a network instead of read from one of its modules.

    A term lists it among its taps by name, like any other. A subclass computes the value, in extra passes if it needs
    them, and states what that requires. Distiller and teacher run any computed tap alike.

    Example:
        >>> import torch
        >>> class Brighter(ComputedTap):
        ...     def compute(self, network, images, features, labels):
        ...         return network(1.5 * images)[LOGITS]
        >>> tap = Brighter("brighter")
        >>> tap == "brighter"
        True
        >>> tap.compute(lambda images: {LOGITS: images.sum(1)}, torch.ones(1, 4), {}, None)
        tensor([6.])
    """

    needs_labels: ClassVar[bool] = False
    """Whether it reads the labels, which must be hard ones."""

    differentiates: ClassVar[bool] = False
    """Whether it takes gradients with respect to the images.

    The stage then runs without autocast and without ``torch.compile``, and the student needs second derivatives.
    """

    def compute(
        self, network: Network, images: Tensor, features: Mapping[str, Tensor], labels: Tensor | None
    ) -> Tensor:
        """Return the value for a batch.

        The student's is computed in grad mode and must be differentiable; the teacher's under ``torch.no_grad``.

        Args:
            network: runs the network again, on images of the same shape.
            images: the batch. If ``differentiates``, a leaf that requires gradients.
            features: what the network gave for ``images``; differentiable by them if ``differentiates``.
            labels: (B,), −1 if unlabeled; None in a stage that needs no labels.
        """
        raise NotImplementedError


def is_reserved(tap: str) -> bool:
    """Return whether ``tap`` stands for something other than the activation of a module.

    Example:
        >>> is_reserved("logits"), is_reserved("layer3")
        (True, False)
    """
    return tap == LOGITS or isinstance(tap, ComputedTap)
