"""Connector of VID (variational information distillation)."""

from __future__ import annotations

import math

import torch
import torch.nn as nn
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses import pool_to

Shape = tuple[int, ...]


class VIDRegressor(nn.Module):
    """Predict the mean of the teacher's features from the student's, with a learned variance per channel.

    Three 1×1 convolutions without bias, with a ReLU after the first two. A student map larger than the teacher's is
    average-pooled first. The variance is softplus(ρ) + eps, as in ``vid_loss``. Ahn et al., "Variational Information
    Distillation for Knowledge Transfer", CVPR 2019; layers and start as in RepDistiller.

    Args:
        student: Shape (C_s, H_s, W_s) of the student's map.
        teacher: Shape (C_t, H_t, W_t) of the teacher's map.
        init_pred_var: Variance at the start, above ``eps``.
        eps: Smallest variance, the ``eps`` of ``vid_loss``.

    Raises:
        TutelageError: If ``init_pred_var`` is not above ``eps``.

    Example:
        >>> import torch
        >>> from tutelage.connectors import VIDRegressor
        >>> mean, rho = VIDRegressor((16, 8, 8), (64, 4, 4))(torch.randn(2, 16, 8, 8))
        >>> mean.shape, rho.shape
        (torch.Size([2, 64, 4, 4]), torch.Size([64]))
    """

    def __init__(self, student: Shape, teacher: Shape, *, init_pred_var: float = 5.0, eps: float = 1e-5) -> None:
        super().__init__()
        if init_pred_var <= eps:
            raise TutelageError(
                f"vid: init_pred_var = {init_pred_var} must be above eps = {eps}; the usual value is 5.0"
            )
        (c_s, *_), (c_t, *size) = student, teacher
        self.size = (size[0], size[1])
        self.layers = nn.Sequential(
            nn.Conv2d(c_s, c_t, kernel_size=1, bias=False),
            nn.ReLU(),
            nn.Conv2d(c_t, c_t, kernel_size=1, bias=False),
            nn.ReLU(),
            nn.Conv2d(c_t, c_t, kernel_size=1, bias=False),
        )
        self.rho = nn.Parameter(torch.full((c_t,), math.log(math.expm1(init_pred_var - eps))))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean (B, C_t, H, W) and the parameter ρ (C_t,) of the variance."""
        return self.layers(pool_to(features, self.size)), self.rho
