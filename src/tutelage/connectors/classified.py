"""Functions of a map and a classifier, and the teacher's classifier as part of a term."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from tutelage.taps import set_unregistered


class FrozenClassifier(nn.Module):
    """Classifier of a teacher, as part of a term: its weights are buffers that are not saved.

    They follow the term's device and precision, so neither a checkpoint nor a teacher in shards has to know of them.

    Args:
        classifier: Linear layer or 1×1 convolution; see ``Probe.classifier``.

    Example:
        >>> import torch
        >>> from tutelage.connectors import FrozenClassifier
        >>> classifier = FrozenClassifier(torch.nn.Linear(16, 10))
        >>> classifier(torch.randn(2, 16)).shape, classifier.state_dict()
        (torch.Size([2, 10]), OrderedDict())
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, classifier: nn.Linear | nn.Conv2d) -> None:
        super().__init__()
        self.register_buffer("weight", classifier.weight.detach().flatten(1), persistent=False)
        bias = classifier.bias.detach() if classifier.bias is not None else None
        self.register_buffer("bias", bias, persistent=False)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return the logits (B, K) of embeddings (B, D)."""
        return F.linear(embeddings, self.weight, self.bias)


class Classified(nn.Module):
    """Apply a function to a map and the current weights of a classifier.

    The student's classifier is not registered: its weights are trained and stored with the student.

    Args:
        classifier: The student's linear layer or 1×1 convolution with ``weight`` (K, D) and ``bias``, see
            ``Probe.classifier``, or the teacher's as ``FrozenClassifier``.
        function: Function of the map (B, D, H, W), the weight (K, D) and the bias (K,) or None.

    Example:
        >>> import torch
        >>> from tutelage.connectors import Classified
        >>> from tutelage.losses import class_map
        >>> class_maps = Classified(torch.nn.Linear(16, 10), class_map)
        >>> class_maps(torch.randn(2, 16, 4, 4)).shape, list(class_maps.parameters())
        (torch.Size([2, 10, 4, 4]), [])
    """

    classifier: nn.Linear | nn.Conv2d | FrozenClassifier

    def __init__(
        self,
        classifier: nn.Linear | nn.Conv2d | FrozenClassifier,
        function: Callable[[Tensor, Tensor, Tensor | None], Tensor],
    ) -> None:
        super().__init__()
        if isinstance(classifier, FrozenClassifier):
            self.classifier = classifier
        else:
            set_unregistered(self, "classifier", classifier)
        self.function = function

    def forward(self, features: Tensor, *_: Tensor) -> Tensor:
        """Return the function's value for the map (B, D, H, W).

        Other arguments are ignored. As a target, the module is passed the logits too if the term lists them to require
        a teacher with the classes of the data.
        """
        return self.function(features, self.classifier.weight.flatten(1), self.classifier.bias)
