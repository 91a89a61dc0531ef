"""The ``spec`` of a created model: its name, classes and preprocessing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

TIMM = "timm/"
TORCHVISION = "torchvision/"
HUB = "hf-hub:"
TRANSFORMERS = "transformers/"
"""Prefixes of the names of other libraries' networks."""
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


Resize = Literal["crop", "squash", "pad"]
"""How to fit an image of another shape: cut out its middle, distort it, or add a border."""


@dataclass(frozen=True)
class ModelSpec:
    """Identity and preprocessing of a model, stored as ``model.spec``.

    Attributes:
        name: The name passed to ``create_model``. For a saved folder, the name the saved model was created with.
        num_classes: Number of logits, 0 for a timm model without a head.
        input_size: Input (height, width) in pixels. None if any size works.
        mean: Mean per channel for normalizing RGB images in [0, 1]. None if unknown; then the data's own mean is used.
        std: Standard deviation per channel, as ``mean``.
        crop: Fraction of an image's shorter side that the center crop covers. None if unknown.
        resize: How images of another shape are fitted.
        classes: Class names in the order of the logits. None if unknown.
        source: Origin of the weights: "random", "pretrained", a torchvision weights member, or a path.
        notes: How the weights file was read, e.g. prefixes removed or entries renamed.

    Example:
        >>> from tutelage.models import create_model
        >>> create_model("resnet8").spec.source
        'random'
    """

    name: str
    num_classes: int
    input_size: tuple[int, int] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    crop: float | None = None
    resize: Resize = "crop"
    classes: tuple[str, ...] | None = None
    source: str = "random"
    notes: tuple[str, ...] = ()


def known_names(names: Any) -> tuple[str, ...] | None:
    """Return class names in the order of the logits from a list or a dict {index: name}; None if they are unknown.

    transformers uses ``LABEL_0``, ``LABEL_1``, … for unknown names.
    """
    ordered = [names[index] for index in sorted(names, key=int)] if isinstance(names, dict) else list(names or ())
    placeholders = [f"LABEL_{number}" for number in range(len(ordered))]
    return None if ordered == placeholders else tuple(ordered)


def spec_of(model: nn.Module) -> ModelSpec:
    """Return the ``ModelSpec`` of a network from ``create_model``.

    Example:
        >>> from tutelage.models import create_model, spec_of
        >>> spec_of(create_model("resnet8")).num_classes
        10
    """
    spec = model.spec
    assert isinstance(spec, ModelSpec)
    return spec
