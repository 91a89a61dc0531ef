"""Reading a network for a stage: the activations at its taps, and the taps that are computed from them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn as nn
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from tutelage.taps import laid_out
from tutelage.terms import LOGITS, ComputedTap, Network


def read_taps(reader: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the activations at a reader's taps, with the logits if it runs to the network's end, by tap."""
    logits, features = reader(images)
    maps = laid_out(features, images.shape[2:])
    return maps if logits is None else {**maps, LOGITS: logits}


def read_batch(
    network: Network, images: Tensor, labels: Tensor | None, computed: Sequence[ComputedTap]
) -> dict[str, Tensor]:
    """Return what ``network`` gives for the images, with the values of the computed taps, by tap.

    All of it can be differentiated if gradients are enabled, and is detached otherwise.
    """
    if not any(tap.differentiates for tap in computed):
        features = network(images)
        return {**features, **{tap: tap.compute(network, images, features, labels) for tap in computed}}
    # Some fused kernels for attention have no second derivative.
    with torch.autocast(images.device.type, enabled=False), sdpa_kernel(SDPBackend.MATH):
        images = _leaf(images)
        with torch.enable_grad():
            features = network(images)
        features = {**features, **{tap: tap.compute(network, images, features, labels) for tap in computed}}
    return features if torch.is_grad_enabled() else {tap: value.detach() for tap, value in features.items()}


def _leaf(images: Tensor) -> Tensor:
    """Return the images as new floats that gradients can be taken by; bytes as numbers in [0, 1]."""
    floats = images / 255 if images.dtype == torch.uint8 else images
    return floats.detach().clone().requires_grad_()
