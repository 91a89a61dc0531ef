"""What a created model knows about itself, apart from its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

TIMM = "timm/"
TORCHVISION = "torchvision/"
HUB = "hf-hub:"
TRANSFORMERS = "transformers/"
"""What the names of other libraries' networks begin with."""
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


Resize = Literal["crop", "squash", "pad"]
"""How an image of another shape is fitted: its middle, all of it distorted, or all of it with a border."""


@dataclass(frozen=True)
class ModelSpec:
    """Identity and preprocessing of a model; every created model carries its own as ``model.spec``.

    Attributes:
        name: what ``create_model`` was given; for a saved folder, the name the saved model was created under.
        num_classes: width of the logits (0 where a timm model has no head).
        input_size: (height, width) in pixels the model was made for; None where any will do.
        mean: per-channel mean its input is normalised with, of RGB images in [0, 1]; None where unknown
            (then the data's own is taken).
        std: per-channel standard deviation, as ``mean``.
        crop: the part of an image's shorter side that it is shown of images of other sizes, from their middle; None
            where unknown.
        resize: how an image of another shape is fitted.
        classes: names of its classes in the order of the logits; None where unknown.
        source: where its weights come from: "random", "pretrained", a torchvision weights member, or a path.
        notes: what was done to read them, in words: unwrapped, renamed.
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
    """Return class names in the order of the logits, of a list or of {index: name}; None where they are unknown.

    transformers names classes that it does not know ``LABEL_0``, ``LABEL_1``, …
    """
    ordered = [names[index] for index in sorted(names, key=int)] if isinstance(names, dict) else list(names or ())
    placeholders = [f"LABEL_{number}" for number in range(len(ordered))]
    return None if ordered == placeholders else tuple(ordered)


def spec_of(model: nn.Module) -> ModelSpec:
    """Returns what a created model knows of itself."""
    spec = model.spec
    assert isinstance(spec, ModelSpec)
    return spec
