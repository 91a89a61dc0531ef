"""Reserved taps: the logits, and values that are computed from a network instead of read from a module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from torch import Tensor

LOGITS = "logits"
"""Reserved tap for a network's logits, (B, K)."""

LABELS = "labels"
"""Reserved tap for the labels of the batch, (B,), −1 if unlabeled."""

INDEX = "index"
"""Reserved tap for the indices of the samples in the training set, (B,), from 0; see ``Pair.labels``."""

EPOCH = "epoch"
"""Reserved tap for the epoch of the stage, from 0, a scalar on the CPU."""

BATCH = (LABELS, INDEX, EPOCH)
"""Reserved taps that belong to the batch and not to a network; ``match`` receives their values after the target."""

Network = Callable[[Tensor], Mapping[str, Tensor]]
"""Function that runs a network on images and returns its logits and the stage's activations, by tap."""


class ComputedTap(str):
    """Reserved tap whose value is computed from a network instead of read from one of its modules.

    Subclass it to define a new tap: implement ``compute``, which may run extra passes, and set the class attributes
    that state its requirements. Terms list an instance among their taps, like the name of a module; ``Distiller`` and
    ``Teacher`` compute its value.

    Example:
        >>> import torch
        >>> class Mirrored(ComputedTap):
        ...     def compute(self, network, images, features, labels):
        ...         return network(images.flip(3))[LOGITS]
        >>> tap = Mirrored("mirrored")
        >>> tap == "mirrored"
        True
        >>> tap.compute(lambda images: {LOGITS: images[:, :, 0, 0]}, torch.tensor([[[[1.0, 2.0]]]]), {}, None)
        tensor([[2.]])
    """

    needs_labels: ClassVar[bool] = False
    """Whether the tap reads the labels, which must then be class numbers, not soft labels."""

    differentiates: ClassVar[bool] = False
    """Whether the tap takes gradients with respect to the images.

    The stage then runs without autocast and ``torch.compile``, and the student needs second derivatives.
    """

    def compute(
        self, network: Network, images: Tensor, features: Mapping[str, Tensor], labels: Tensor | None
    ) -> Tensor:
        """Return the tap's value for a batch.

        The student's value is computed in grad mode and must be differentiable. The teacher's value is computed under
        ``torch.no_grad``.

        Args:
            network: Function that runs the network again, on images of the same shape.
            images: The images of the batch. If ``differentiates`` is set, a float tensor that requires gradients, with
                uint8 images scaled to [0, 1].
            features: The network's activations and logits for ``images``, by tap. If ``differentiates`` is set, they
                are differentiable with respect to ``images``.
            labels: Labels (B,), −1 if unlabeled. None in a stage that needs no labels.
        """
        raise NotImplementedError


def is_reserved(tap: str) -> bool:
    """Return whether ``tap`` is a reserved tap, not an activation of a module.

    Example:
        >>> is_reserved("logits"), is_reserved("layer3")
        (True, False)
    """
    return tap == LOGITS or tap in BATCH or isinstance(tap, ComputedTap)
