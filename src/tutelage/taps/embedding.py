"""The embedding of a network: what its classifier reads."""

from __future__ import annotations

from torch import Tensor, nn

from tutelage.models import find_heads

EMBEDDING = "embedding"
"""Reserved tap for the classifier's input, (B, D), averaged over positions if the classifier is a convolution."""


def embedding_tap(model: nn.Module) -> str | None:
    """Return the tap of the classifier's input; None for a network without a classifier, whose output is its embedding.

    Args:
        model: Any network. The classifier of a network that ``create_model`` did not build is its last linear layer.

    Example:
        >>> from tutelage import create_model
        >>> from tutelage.taps import embedding_tap
        >>> embedding_tap(create_model("resnet8"))
        'fc:in'
    """
    heads = find_heads(model)
    return f"{heads[0]}:in" if heads else None


def pooled(feature: Tensor) -> Tensor:
    """Return a feature as (B, D): maps are averaged over their positions."""
    return feature.flatten(2).mean(2) if feature.ndim == 4 else feature
