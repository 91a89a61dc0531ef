"""Networks that a method extends: parts inserted after their modules, and a classifier for another embedding."""

from __future__ import annotations

import copy
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from tutelage.errors import TutelageError
from tutelage.models.heads import find_heads, new_head
from tutelage.models.parts import norm, simkd  # noqa: F401  (each registers its parts)
from tutelage.models.parts.register import parts

_Count = Annotated[int, Field(ge=1, le=2**16)]
_Factor = Annotated[float, Field(gt=0, le=2**16)]


class Insertion(BaseModel):
    """A part that takes the output of a module of the network and replaces it by its own.

    Example:
        >>> Insertion(after="layer3", part="simkd_projector", arguments={"inputs": 64, "outputs": 128, "size": (4, 4)})
        Insertion(after='layer3', part='simkd_projector', arguments={'inputs': 64, 'outputs': 128, 'size': (4, 4)})
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    after: str
    """Name of the module in the original network."""
    part: str
    """Name of a registered part."""
    arguments: dict[str, _Count | _Factor | tuple[_Count, _Count]] = {}

    @property
    def place(self) -> str:
        """Name of the part in the extended network."""
        return f"{self.after}.1"


class Extension(BaseModel):
    """What is added to a network; saved with it, so that a folder can be loaded without method and teacher.

    Example:
        >>> Extension(features=128).inserted
        ()
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    inserted: tuple[Insertion, ...] = ()
    features: _Count | None = None
    """Width of the embedding that a new classifier reads; None to keep the network's classifier."""
    bias: bool = True
    """Whether the new classifier has a bias."""


def extended(model: nn.Module, extension: Extension) -> nn.Module:
    """Return a copy of a network with random new parts, and the ``extension`` as an attribute.

    A module ``layer3`` with a part after it becomes ``layer3.0``, and the part ``layer3.1``; others keep their names.

    Args:
        model: A network that was not extended before.
        extension: What to add.

    Raises:
        TutelageError: If the network is already extended, or does not have such a module, or no classifier.

    Example:
        >>> from tutelage.models import Extension, Insertion, create_model, extended
        >>> arguments = {"inputs": 64, "outputs": 128, "size": (8, 8)}
        >>> projector = Insertion(after="layer3", part="simkd_projector", arguments=arguments)
        >>> network = extended(create_model("resnet8"), Extension(inserted=(projector,), features=128))
        >>> type(network.layer3[1]).__name__, network.fc
        ('SimKDProjector', Linear(in_features=128, out_features=10, bias=True))
    """
    if extension_of(model) is not None:
        raise TutelageError(
            f"this {type(model).__name__} already has parts that a method added; start from a network without them, or "
            f"use a method that adds none, such as method=kd"
        )
    network = copy.deepcopy(model)
    if extension.features is not None:
        name = find_heads(network)[-1]
        _put(network, name, new_head(network.get_submodule(name), features=extension.features, bias=extension.bias))
    for insertion in extension.inserted:
        part = parts[insertion.part](**insertion.arguments)
        _put(network, insertion.after, nn.Sequential(network.get_submodule(insertion.after), part))
    network.extension = extension  # type: ignore[assignment]
    return network


def extension_of(model: nn.Module) -> Extension | None:
    """Return what a method added to a network, or None.

    Example:
        >>> from tutelage.models import create_model, extension_of
        >>> extension_of(create_model("resnet8")) is None
        True
    """
    extension = getattr(model, "extension", None)
    return extension if isinstance(extension, Extension) else None


def _put(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    like = next(network.parameters())
    setattr(network.get_submodule(parent), last, module.to(like.device, like.dtype).train(network.training))
