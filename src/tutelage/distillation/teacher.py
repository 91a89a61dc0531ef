"""The teacher: frozen, in eval mode for good, read through taps and never saved with the student."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn as nn
from torch import Tensor

from tutelage.models import ModelSpec, parameter_count, weights_hash
from tutelage.taps import folded
from tutelage.terms import LOGITS


class Teacher(nn.Module):
    """A frozen network with its own normalisation; no step of training ever changes a parameter or buffer of it.

    Args:
        network: the network; it is put in eval mode and its parameters stop requiring gradients.
        normalization: applied to the images before the network (its own mean, deviation and input size); images go in
            unchanged where there is none.
    """

    def __init__(self, network: nn.Module, normalization: nn.Module | None = None) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.normalization = normalization if normalization is not None else nn.Identity()
        self._reader: nn.Module = network
        self.eval()

    @property
    def input_size(self) -> tuple[int, int] | None:
        """(H, W) that the images are resized to for this network; None where they come as they are."""
        return getattr(self.normalization, "size", None)

    def train(self, mode: bool = True) -> Teacher:
        """Stays in eval mode, whoever asks: batch statistics must not move while a student is trained."""
        return super().train(False)

    def read(self, taps: Sequence[str], logits: bool) -> None:
        """Sets what :meth:`features` returns; the network then runs no deeper than the deepest of it.

        Its weights are read at this moment: batch normalisations are folded into the convolutions before them.
        """
        self._reader = folded(self.network, taps, logits=logits).requires_grad_(False)

    @torch.no_grad()
    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Returns {tap: activation}, with the output under ``logits`` where :meth:`read` asked for it."""
        logits, features = self._reader(self.normalization(images))
        return features if logits is None else {**features, LOGITS: logits}

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Returns the logits, (B, K)."""
        return self.network(self.normalization(images))

    @property
    def name(self) -> str:
        """The network's name as it was created, or its class where it was built by hand."""
        spec = getattr(self.network, "spec", None)
        return spec.name if isinstance(spec, ModelSpec) else type(self.network).__name__

    @property
    def source(self) -> str | None:
        """Where the weights come from, as its creation recorded it; None for a network built by hand."""
        spec = getattr(self.network, "spec", None)
        return spec.source if isinstance(spec, ModelSpec) else None

    def identity(self) -> dict[str, object]:
        """Returns what a run records of its teacher: name, source, classes, parameters and a hash of the weights."""
        spec = getattr(self.network, "spec", None)
        return {
            "name": self.name,
            "source": self.source,
            "num_classes": spec.num_classes if isinstance(spec, ModelSpec) else None,
            "parameters": parameter_count(self.network),
            "weights_sha256": weights_hash(self.network),
        }
