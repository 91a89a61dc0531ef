"""ViTKD losses: tokens of the first layers mimicked, tokens of the last layer generated.

Yang et al., "ViTKD: Practical Guidelines for ViT Feature Knowledge Distillation", 2022,
https://arxiv.org/abs/2209.02432.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.losses.precision import full_precision
from tutelage.losses.shapes import require_same_shape

WAY_OUT = "tap as many layers and tokens of both networks, and align widths with `ViTKDConnector`"


def vitkd_mask(tokens: Tensor, *, ratio: float = 0.5, generator: torch.Generator | None = None) -> Tensor:
    """Return a random mask of tokens, true for the same number of tokens in each sample.

    Args:
        tokens: The tokens (B, N, D) to be masked.
        ratio: Share of masked tokens, from 0 to 1. The number of tokens that stay is rounded down.
        generator: Source of randomness on the tokens' device. None uses the default one.

    Returns:
        The mask (B, N), true where a token is masked.

    Raises:
        TutelageError: If ``ratio`` is outside [0, 1].

    Example:
        >>> import torch
        >>> from tutelage.losses import vitkd_mask
        >>> vitkd_mask(torch.randn(2, 16, 8), ratio=0.75).sum(1)
        tensor([12, 12])
    """
    if not 0 <= ratio <= 1:
        raise TutelageError(f"vitkd: ratio {ratio} must be from 0 to 1; the usual value is 0.5")
    batch, count = tokens.shape[:2]
    order = torch.rand(batch, count, generator=generator, device=tokens.device).argsort(1)
    return order >= int(count * (1 - ratio))


@full_precision
def vitkd_loss(
    low: Tensor,
    high: Tensor,
    mask: Tensor,
    teacher_low: Tensor,
    teacher_high: Tensor,
    *,
    alpha: float = 3e-5,
    beta: float = 3e-6,
    ratio: float = 0.5,
) -> Tensor:
    """Return the distance of the first layers' tokens plus that of the masked tokens of the last layer.

    α · Σ (S_low − T_low)² + β / ratio · Σ over masked tokens (S_high − T_high)², averaged over the batch. Tokens are
    those of the patches, without a class token.

    Args:
        low: The student's aligned tokens (B, L, N, D) of L early layers, see ``ViTKDConnector``.
        high: The generated tokens (B, N, D) of the last layer.
        mask: Mask (B, N), true where the student's token was masked.
        teacher_low: The teacher's tokens (B, L, N, D) of its early layers. They are detached, so cached tokens serve as
            well.
        teacher_high: The teacher's tokens (B, N, D) of its last layer, detached.
        alpha: Weight α of the early layers.
        beta: Weight β of the last layer.
        ratio: Share of masked tokens, as for the mask.

    Returns:
        The loss, a scalar.

    Raises:
        TutelageError: If the shapes differ.

    Example:
        >>> import torch
        >>> from tutelage.losses import vitkd_loss
        >>> low, high, mask = torch.ones(2, 2, 4, 8), torch.ones(2, 4, 8), torch.ones(2, 4, dtype=torch.bool)
        >>> vitkd_loss(low, high, mask, 0 * low, 0 * high, alpha=1.0, beta=0.5, ratio=1.0)
        tensor(80.)
    """
    require_same_shape(low, teacher_low, "vitkd early layers", WAY_OUT)
    require_same_shape(high, teacher_high, "vitkd last layer", WAY_OUT)
    of_low = (low - teacher_low.detach()).square().sum()
    of_high = ((high - teacher_high.detach()) * mask[:, :, None]).square().sum()
    return (alpha * of_low + beta / ratio * of_high) / low.shape[0]
