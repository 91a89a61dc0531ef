"""Gradients of the task with respect to the image: what ``at_gradient`` matches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from tutelage.errors import TutelageError
from tutelage.taps import tapped


def differentiable(images: Tensor) -> Tensor:
    """Returns the images as new floats that gradients can be taken by; uint8 ones in [0, 1]."""
    floats = images / 255 if images.dtype == torch.uint8 else images
    return floats.detach().clone().requires_grad_()


def image_gradient(logits: Tensor, labels: Tensor, images: Tensor, create_graph: bool) -> Tensor:
    """J = ∂(Σ CE over the batch)/∂images, (B, C, H, W), for ``logits`` that were computed from ``images``.

    The sum, not the mean: a sample's J then does not depend on how many others are in its batch. A sample labelled −1
    has J = 0. With ``create_graph`` J can itself be differentiated.
    """
    loss = F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, images, create_graph=create_graph)
    return gradient


def mirrored_gradient(network: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor) -> Tensor:
    """The J of the mirrored images, mirrored back; ``network`` gives logits. It can itself be differentiated."""
    mirrored = differentiable(images.flip(3))
    return image_gradient(network(mirrored), labels, mirrored, create_graph=True).flip(3)


@contextmanager
def twice_differentiable(device: str) -> Iterator[None]:
    """Inside, networks run in full precision, by operations that have a second derivative where there is a choice."""
    with torch.enable_grad(), torch.autocast(device, enabled=False), sdpa_kernel(SDPBackend.MATH):
        yield


def require_second_derivative(network: nn.Module, size: tuple[int, int]) -> None:
    """Raises :class:`TutelageError` where the network's logits cannot be differentiated twice.

    One dry pass on black images of ``size`` (H, W); weights, buffers, gradients and mode stay as they are.
    """
    reader = tapped(network, [], logits=True, frozen=("",))
    parameters = list(reader.parameters())
    images = torch.zeros(2, 3, *size, device=parameters[0].device, dtype=parameters[0].dtype, requires_grad=True)
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    labels = torch.zeros(2, dtype=torch.int64, device=images.device)
    try:
        with twice_differentiable(images.device.type):
            gradient = image_gradient(reader(images)[0], labels, images, create_graph=True)
            torch.autograd.grad(gradient.square().sum(), trained, allow_unused=True)
    except RuntimeError as error:
        if "derivative for" not in str(error):
            raise
        raise TutelageError(
            f"method=at_gradient differentiates the student twice, and this one has an operation without a second "
            f"derivative ({error}): choose another student, or another method such as method=at"
        ) from None
