"""The classifier of a network: finding it, giving it other classes, and naming all the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import nn

from tutelage.errors import TutelageError
from tutelage.models.spec import spec_of


def find_heads(model: nn.Module) -> list[str]:
    """Returns the names of the layers that give the logits, none for a headless network.

    They are linear layers or convolutions with one row a class: those that timm names (distilled transformers have
    two), else the last such layer. ``model`` comes from ``create_model``, which knows the number of its classes.
    """
    classes = spec_of(model).num_classes
    fitting = [name for name, layer in model.named_modules() if _rows(layer) == classes]
    named = (getattr(model, "pretrained_cfg", None) or {}).get("classifier") or ()
    named = (named,) if isinstance(named, str) else tuple(named)
    return [name for name in fitting if _is_in(name, named)] or fitting[-1:]


def replace_head(model: nn.Module, num_classes: int) -> None:
    """Gives ``model`` a new, random classifier of ``num_classes``; ``model.spec`` then says so, and no class names.

    Raises:
        TutelageError: the network has no classifier that could be replaced.
    """
    if hasattr(model, "reset_classifier"):  # timm's own way, which works for headless networks too
        model.reset_classifier(num_classes)  # type: ignore[operator]
    else:
        for name in _heads_of(model):
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, _like(model.get_submodule(name), num_classes))
    model.spec = replace(spec_of(model), num_classes=num_classes, classes=None)  # type: ignore[assignment]


def keep_classes(model: nn.Module, kept: Sequence[int], names: Sequence[str]) -> None:
    """Reduces the logits to those of the classes ``kept``, in this order, by cutting the rows of the classifier.

    ``model.spec`` then has the classes ``names``. Softmax over the reduced logits is the probability among them.

    Raises:
        TutelageError: the network has no classifier.
    """
    rows = torch.tensor(kept)
    for name in _heads_of(model):
        head = model.get_submodule(name)
        for parameter, value in list(head.named_parameters(recurse=False)):
            setattr(head, parameter, nn.Parameter(value.detach()[rows].clone(), value.requires_grad))
        setattr(head, "out_features" if isinstance(head, nn.Linear) else "out_channels", len(kept))
    model.spec = replace(spec_of(model), num_classes=len(kept), classes=tuple(names))  # type: ignore[assignment]


def all_but(model: nn.Module, kept: Iterable[str]) -> tuple[str, ...]:
    """Returns the largest modules that hold none of the modules ``kept``, and the parameters that lie beside them."""
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


def _heads_of(model: nn.Module) -> list[str]:
    heads = find_heads(model)
    if not heads:
        raise TutelageError(f"model '{spec_of(model).name}': it has no classifier")
    return heads


def _rows(layer: nn.Module) -> int | None:
    return layer.weight.shape[0] if isinstance(layer, (nn.Linear, nn.Conv2d)) else None


def _is_in(name: str, modules: Iterable[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def _like(head: nn.Module, num_classes: int) -> nn.Module:
    """A new layer with the geometry of ``head``."""
    bias = head.bias is not None
    if isinstance(head, nn.Linear):
        return nn.Linear(head.in_features, num_classes, bias)
    assert isinstance(head, nn.Conv2d)
    return nn.Conv2d(head.in_channels, num_classes, head.kernel_size, head.stride, head.padding, bias=bias)  # type: ignore[arg-type]
