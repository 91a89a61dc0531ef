"""Temperatures that are learned against the student, for CTKD.

Li et al., "Curriculum Temperature for Knowledge Distillation", AAAI 2023, https://arxiv.org/abs/2211.16231.
"""

from __future__ import annotations

import torch
import torch.nn as nn
from torch import Tensor


def scale_gradient(values: Tensor, factor: float) -> Tensor:
    """Return ``values`` unchanged, with their gradient multiplied by ``factor``; a negative factor reverses it.

    Args:
        values: A tensor.
        factor: The factor of the gradient.

    Returns:
        A tensor equal to ``values``.

    Example:
        >>> import torch
        >>> from tutelage.connectors import scale_gradient
        >>> x = torch.tensor(3.0, requires_grad=True)
        >>> scale_gradient(x, -0.5).square().backward()
        >>> x.grad
        tensor(-3.)
    """
    return values.detach() + factor * (values - values.detach())


class GlobalTemperature(nn.Module):
    """One learned temperature for all samples: T = lowest + span · sigmoid(θ), with θ = 1 at the start.

    Args:
        lowest: The lower bound of T.
        span: The width of the range of T. The authors' code calls it the end, but the upper bound is lowest + span.

    Example:
        >>> from tutelage.connectors import GlobalTemperature
        >>> GlobalTemperature()(strength=-1.0)
        tensor([15.6212], grad_fn=<AddBackward0>)
    """

    def __init__(self, lowest: float = 1.0, span: float = 20.0) -> None:
        super().__init__()
        self.lowest = lowest
        self.span = span
        self.theta = nn.Parameter(torch.ones(1))

    def forward(self, strength: float) -> Tensor:
        """Return the temperature (1,); the gradient of θ is multiplied by ``strength``."""
        return self.lowest + self.span * scale_gradient(self.theta, strength).sigmoid()


class InstanceTemperature(nn.Module):
    """A learned temperature for each sample: T = lowest + span · sigmoid(MLP(z_s, z_t)).

    The MLP has two layers, as in the paper; the authors' released code has the global form only, so the width of the
    hidden layer is ours. The logits are detached: the student gets no reversed gradient.

    Args:
        classes: The number of classes K.
        hidden: The width of the hidden layer.
        lowest: The lower bound of T.
        span: The width of the range of T.

    Example:
        >>> import torch
        >>> from tutelage.connectors import InstanceTemperature
        >>> InstanceTemperature(classes=10)(torch.randn(4, 10), torch.randn(4, 10), strength=-1.0).shape
        torch.Size([4])
    """

    def __init__(self, classes: int, hidden: int = 256, lowest: float = 1.0, span: float = 20.0) -> None:
        super().__init__()
        self.lowest = lowest
        self.span = span
        self.mlp = nn.Sequential(nn.Linear(2 * classes, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, student_logits: Tensor, teacher_logits: Tensor, strength: float) -> Tensor:
        """Return the temperatures (B,); the gradients of the MLP are multiplied by ``strength``."""
        theta = self.mlp(torch.cat([student_logits, teacher_logits], dim=1).detach()).squeeze(1)
        return self.lowest + self.span * scale_gradient(theta, strength).sigmoid()
