"""Read a network for a stage: the activations at its taps, and the computed taps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn as nn
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from tutelage.taps import embedding_tap, laid_out, pooled
from tutelage.terms import EMBEDDING, LOGITS, ComputedTap, Network


class ReadNothing(nn.Module):
    """Reader of a network that a stage does not run, because its terms only read the other network."""

    def forward(self, images: Tensor) -> tuple[None, dict[str, Tensor]]:
        """Return what ``tapped`` modules do: no logits, and no features."""
        return None, {}


def places_of(network: nn.Module, taps: Sequence[str]) -> dict[str, str]:
    """Return where each tap is read: as it says, but ``EMBEDDING`` at the classifier's input, or else the output."""
    return {tap: embedding_tap(network) or LOGITS if tap == EMBEDDING else tap for tap in taps}


def modules_at(places: Mapping[str, str]) -> list[str]:
    """Return the places that are read in modules: all but the output of the network."""
    return [place for place in places.values() if place != LOGITS]


def read_taps(reader: nn.Module, images: Tensor, places: Mapping[str, str]) -> dict[str, Tensor]:
    """Return what a reader gives for the images, by tap, with the logits if it runs to the end of the network.

    Args:
        reader: Module that returns (logits or None, {place: feature}).
        images: The network's input.
        places: Where each tap is read, see ``places_of``.
    """
    logits, features = reader(images)
    maps = laid_out(features, images.shape[2:])
    if logits is not None:
        maps[LOGITS] = logits
    found = {tap: maps[place] for tap, place in places.items()}
    if EMBEDDING in found:
        found[EMBEDDING] = pooled(found[EMBEDDING])
    return found if logits is None else {**found, LOGITS: logits}


def read_batch(
    network: Network, images: Tensor, labels: Tensor | None, computed: Sequence[ComputedTap]
) -> dict[str, Tensor]:
    """Return the outputs of ``network`` for the images, with the values of the computed taps, by tap.

    They can be differentiated if gradients are enabled, and are detached otherwise.
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
    """Return a floating-point copy of the images that requires gradients; bytes are scaled to [0, 1]."""
    floats = images / 255 if images.dtype == torch.uint8 else images
    return floats.detach().clone().requires_grad_()
