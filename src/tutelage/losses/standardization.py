"""Logit standardization (LSKD): logits with mean 0 and standard deviation 1 in every sample.

Sun et al., "Logit Standardization in Knowledge Distillation", CVPR 2024, https://arxiv.org/abs/2403.01427.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tutelage.losses.precision import full_precision

# Added to the standard deviation, as in the authors' code.
SMALLEST_DEVIATION = 1e-7


@full_precision
def standardize(logits: Tensor) -> Tensor:
    """Return logits with mean 0 and standard deviation 1 in every sample.

    (z − mean(z)) / (std(z) + 10⁻⁷), with the unbiased standard deviation. A sample with equal logits becomes 0 and gets
    no gradient; in the authors' code, its gradient is about 10⁶.

    Args:
        logits: Logits (B, K).

    Returns:
        The standardized logits (B, K).

    Example:
        >>> import torch
        >>> from tutelage.losses import standardize
        >>> standardize(torch.tensor([[10.0, 20.0, 30.0]]))
        tensor([[-1.,  0.,  1.]])
    """
    centered = logits - logits.mean(1, keepdim=True)
    deviation = logits.std(1, keepdim=True)
    # The spread of equal logits is a rounding error, not always 0.
    rounding = torch.finfo(logits.dtype).eps * logits.abs().amax(1, keepdim=True)
    return centered / (deviation + SMALLEST_DEVIATION).masked_fill(deviation <= rounding, float("inf"))
