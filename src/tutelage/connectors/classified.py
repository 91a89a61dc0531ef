"""Functions of a map and a network's own classifier."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn as nn
from torch import Tensor

from tutelage.taps import set_unregistered


class Classified(nn.Module):
    """Apply a function to a map and the current weights of a classifier that belongs to a network.

    The classifier is not registered: its weights are the network's, so they are trained with it or frozen with it, and
    are stored once.

    Args:
        classifier: Linear layer or 1×1 convolution with ``weight`` (K, D) and ``bias``; see ``Probe.classifier``.
        function: Function of the map (B, D, H, W), the weight (K, D) and the bias (K,) or None.

    Example:
        >>> import torch
        >>> from tutelage.connectors import Classified
        >>> from tutelage.losses import class_map
        >>> class_maps = Classified(torch.nn.Linear(16, 10), class_map)
        >>> class_maps(torch.randn(2, 16, 4, 4)).shape, list(class_maps.parameters())
        (torch.Size([2, 10, 4, 4]), [])
    """

    classifier: nn.Linear | nn.Conv2d

    def __init__(self, classifier: nn.Module, function: Callable[[Tensor, Tensor, Tensor | None], Tensor]) -> None:
        super().__init__()
        set_unregistered(self, "classifier", classifier)
        self.function = function

    def forward(self, features: Tensor, *_: Tensor) -> Tensor:
        """Return the function's value for the map (B, D, H, W).

        Other arguments are ignored. As a target, the module is passed the logits too if the term lists them to require
        a teacher with the classes of the data.
        """
        return self.function(features, self.classifier.weight.flatten(1), self.classifier.bias)
