"""Reserved taps for the gradient of the cross-entropy with respect to the image."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from tutelage.terms.reserved import LOGITS, ComputedTap, Network


class ImageGradient(ComputedTap):
    """Computed tap for the input gradient J = ∂(Σ CE over the batch) / ∂(image in [0, 1]), (B, 3, H, W).

    The cross-entropy is summed, not averaged, so that a sample's J does not depend on the batch size. An unlabeled
    sample has J = 0.

    Example:
        >>> images = torch.zeros(1, 2, requires_grad=True)
        >>> features = {LOGITS: 2 * images}
        >>> IMAGE_GRADIENT.compute(lambda _: features, images, features, torch.tensor([0])).tolist()
        [[-1.0, 1.0]]
    """

    needs_labels = True
    differentiates = True

    def compute(
        self, network: Network, images: Tensor, features: Mapping[str, Tensor], labels: Tensor | None
    ) -> Tensor:
        assert labels is not None
        with torch.enable_grad():
            loss = F.cross_entropy(features[LOGITS], labels, ignore_index=-1, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, images, create_graph=torch.is_grad_enabled())
        return gradient


class MirroredGradient(ImageGradient):
    """Computed tap for the input gradient of the images mirrored left to right, mirrored back.

    It equals J if the network is symmetric.
    """

    def compute(
        self, network: Network, images: Tensor, features: Mapping[str, Tensor], labels: Tensor | None
    ) -> Tensor:
        mirrored = images.detach().flip(3).requires_grad_()
        with torch.enable_grad():
            features = network(mirrored)
        return super().compute(network, mirrored, features, labels).flip(3)


IMAGE_GRADIENT = ImageGradient("image_gradient")
"""Computed tap for J, the gradient of the summed cross-entropy with respect to the image in [0, 1], (B, 3, H, W)."""

MIRRORED_GRADIENT = MirroredGradient("mirrored_gradient")
"""Computed tap for J of the images mirrored left to right, mirrored back; equals J if the network is symmetric."""
