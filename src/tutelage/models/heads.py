"""Find, replace and cut the classifier of a network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import nn

from tutelage.errors import TutelageError
from tutelage.models.spec import ModelSpec, spec_of


def find_heads(model: nn.Module) -> list[str]:
    """Return the names of the layers that compute the logits; empty for a network without a head.

    Candidates are linear and convolutional layers with one row per class. Those that timm names are used (distilled
    transformers have two), otherwise the last candidate.

    Args:
        model: Any network. If ``create_model`` did not build it, so that its number of classes is not known, all its
            linear layers are candidates.

    Example:
        >>> from tutelage.models import create_model, find_heads
        >>> find_heads(create_model("resnet8"))
        ['fc']
    """
    spec = getattr(model, "spec", None)
    if isinstance(spec, ModelSpec):
        fitting = [name for name, layer in model.named_modules() if _rows(layer) == spec.num_classes]
    else:
        fitting = [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear)]
    named = (getattr(model, "pretrained_cfg", None) or {}).get("classifier") or ()
    named = (named,) if isinstance(named, str) else tuple(named)
    return [name for name in fitting if is_within(name, named)] or fitting[-1:]


def replace_head(model: nn.Module, num_classes: int) -> None:
    """Replace the classifier of ``model`` with a new, random one and update ``model.spec``.

    The new spec has no class names.

    Args:
        model: A network from ``create_model``.
        num_classes: Number of classes of the new classifier.

    Raises:
        TutelageError: If the network has no classifier.

    Example:
        >>> from tutelage.models import create_model, replace_head
        >>> model = create_model("resnet8")
        >>> replace_head(model, num_classes=3)
        >>> model.fc.out_features, model.spec.num_classes
        (3, 3)
    """
    # timm's method also works for networks without a head, but expects the embedding that the network was built with.
    if hasattr(model, "reset_classifier") and not hasattr(model, "extension"):
        model.reset_classifier(num_classes)  # type: ignore[operator]
    else:
        for name in _heads_of(model):
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, new_head(model.get_submodule(name), num_classes=num_classes))
    model.spec = replace(spec_of(model), num_classes=num_classes, classes=None)  # type: ignore[assignment]


def keep_classes(model: nn.Module, kept: Sequence[int], names: Sequence[str]) -> None:
    """Cut the classifier to the rows of some classes and update ``model.spec``.

    Softmax over the remaining logits is the probability conditional on these classes.

    Args:
        model: A network from ``create_model``.
        kept: Indices of the classes to keep, in the new order.
        names: Names of these classes.

    Raises:
        TutelageError: If the network has no classifier.

    Example:
        >>> from tutelage.models import create_model, keep_classes
        >>> model = create_model("resnet8")
        >>> keep_classes(model, kept=[7, 2], names=["horse", "bird"])
        >>> model.fc.out_features, model.spec.classes
        (2, ('horse', 'bird'))
    """
    rows = torch.tensor(kept)
    for name in _heads_of(model):
        head = model.get_submodule(name)
        for parameter, value in list(head.named_parameters(recurse=False)):
            setattr(head, parameter, nn.Parameter(value.detach()[rows].clone(), value.requires_grad))
        setattr(head, "out_features" if isinstance(head, nn.Linear) else "out_channels", len(kept))
    model.spec = replace(spec_of(model), num_classes=len(kept), classes=tuple(names))  # type: ignore[assignment]


def all_but(model: nn.Module, kept: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the largest modules that contain none of ``kept``, and of parameters outside of them.

    Args:
        model: Any network.
        kept: Names of modules to leave out.

    Example:
        >>> from tutelage.models import all_but, create_model
        >>> all_but(create_model("resnet8"), ["fc", "layer3"])
        ('conv1', 'bn1', 'relu', 'layer1', 'layer2', 'avgpool', 'flatten')
    """
    kept = tuple(kept)

    def rest(module: nn.Module, prefix: str) -> list[str]:
        found = [prefix + name for name, _ in module.named_parameters(recurse=False)]
        for name, child in module.named_children():
            path = prefix + name
            if path in kept:
                continue
            found += rest(child, f"{path}.") if any(other.startswith(f"{path}.") for other in kept) else [path]
        return found

    return tuple(rest(model, ""))


def new_head(
    head: nn.Module, *, num_classes: int | None = None, features: int | None = None, bias: bool | None = None
) -> nn.Module:
    """Return a new, random layer with the geometry of ``head``, except for what is given.

    Args:
        head: A linear or convolutional layer.
        num_classes: Number of classes. None for that of ``head``.
        features: Width of the embedding. None for that of ``head``.
        bias: Whether the layer has a bias. None for what ``head`` has.
    """
    bias = head.bias is not None if bias is None else bias
    if isinstance(head, nn.Linear):
        return nn.Linear(features or head.in_features, num_classes or head.out_features, bias)
    assert isinstance(head, nn.Conv2d)
    inputs, outputs = features or head.in_channels, num_classes or head.out_channels
    return nn.Conv2d(inputs, outputs, head.kernel_size, head.stride, head.padding, bias=bias)  # type: ignore[arg-type]


def _heads_of(model: nn.Module) -> list[str]:
    heads = find_heads(model)
    if not heads:
        raise TutelageError(f"model '{spec_of(model).name}': it has no classifier; use a network with a head")
    return heads


def _rows(layer: nn.Module) -> int | None:
    return layer.weight.shape[0] if isinstance(layer, (nn.Linear, nn.Conv2d)) else None


def is_within(name: str, modules: Iterable[str | None]) -> bool:
    """Return whether ``name`` is that of one of the modules, or of a part of one."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)
