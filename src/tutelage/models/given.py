"""User-defined networks: modules passed in Python, and functions named ``package.module:function``.

Settings and saved folders store names. The name of a module is valid during the call it was passed to. The name of a
function is valid once the user has named it. A name read from a folder or a checkpoint thus never runs code by itself.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from tutelage.errors import TutelageError, shortened
from tutelage.models.outputs import main_output
from tutelage.models.spec import ModelSpec

MODULE = "module/"
"""Prefix of the name of a module that was passed in Python, followed by its class."""
_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_SIDES = (224, 32, 64, 96, 28, 128, 48, 160, 192, 256, 299, 384, 512)
"""Image sizes to try when counting a network's logits; the first accepted one is used."""

Networks = nn.Module | str | Sequence[nn.Module | str] | None
"""User-defined networks that a run needs: modules, names of functions, or several of them."""
Builder = Callable[[int | None], nn.Module]
_builders: dict[str, Builder] = {}


def is_given(name: str) -> bool:
    """Return whether ``name`` stands for a user-defined network.

    Example:
        >>> from tutelage.models import is_given
        >>> is_given("my_package.networks:build"), is_given("resnet20")
        (True, False)
    """
    return name.startswith(MODULE) or _REFERENCE.fullmatch(name) is not None


def register_functions(*names: str) -> None:
    """Import the functions among ``names`` (``package.module:function``).

    A function must return a module. It is called with ``num_classes`` if it has such a parameter. The working directory
    is searched too.

    Args:
        names: Names of models; those that are not references to functions are ignored.

    Raises:
        TutelageError: If a module or function does not exist.

    Example:
        >>> from tutelage.models import create_model, register_functions
        >>> register_functions("torchvision.models:SqueezeNet")
        >>> create_model("torchvision.models:SqueezeNet", num_classes=5).spec.num_classes
        5
    """
    for name in names:
        if _REFERENCE.fullmatch(name):
            _builders[name] = _import(name)


@contextmanager
def handed_over(value: Any) -> Iterator[Any]:
    """Yield ``value`` with each module in it replaced by a name that is valid inside the block.

    Args:
        value: Any settings; modules may be nested in lists and mappings.

    Example:
        >>> from torch import nn
        >>> from tutelage.models import handed_over
        >>> with handed_over({"student": nn.Flatten()}) as settings:
        ...     settings
        {'student': 'module/Flatten'}
    """
    modules: dict[str, nn.Module] = {}

    def named(part: Any) -> Any:
        if isinstance(part, nn.Module):
            return _file(part, modules)
        if isinstance(part, Mapping):
            # A teacher of the student's class always gets the second name, whatever the order of the arguments.
            return {key: named(part[key]) for key in sorted(part, key=lambda key: str(key).startswith("teacher"))}
        return [named(entry) for entry in part] if isinstance(part, (list, tuple)) else part

    settings = named(value)
    _builders.update({name: partial(_itself, module) for name, module in modules.items()})
    try:
        yield settings
    finally:
        for name in modules:
            _builders.pop(name, None)


@contextmanager
def made_known(network: Networks) -> Iterator[None]:
    """Make user-defined networks available by name inside the block.

    Example:
        >>> from tutelage.models import create_model, made_known
        >>> with made_known("torchvision.models:SqueezeNet"):
        ...     model = create_model("torchvision.models:SqueezeNet", num_classes=5)
    """
    with handed_over(network) as names:
        register_functions(*([names] if isinstance(names, str) else names or ()))
        yield


def build_given(name: str, num_classes: int | None) -> tuple[nn.Module, ModelSpec]:
    """Build the network behind ``name``; its number of classes may differ from ``num_classes``.

    Raises:
        TutelageError: If the network was not passed, or its function not named, in this process.
    """
    if name not in _builders:
        raise TutelageError(_unknown(name))
    network = _builders[name](num_classes)
    if not isinstance(network, nn.Module):
        raise TutelageError(f"{name} must return a torch.nn.Module; it returned {network!r:.80}")
    known = getattr(network, "spec", None)
    if known is not None and not isinstance(known, ModelSpec):
        raise TutelageError(f"{name} has an attribute 'spec', which tutelage sets itself; rename the attribute")
    return network, replace(known or _describe(network), name=name, source="random" if _is_fresh(network) else "given")


def _is_fresh(network: nn.Module) -> bool:
    """Return whether the network was never trained, judging by its normalization layers if it has any."""
    state = network.state_dict()
    scales = [name for name, value in state.items() if name.endswith("weight") and value.ndim == 1]
    shifts = [state.get(name.removesuffix("weight") + part) for name in scales for part in ("bias", "running_mean")]
    moved = any(shift is not None and bool(shift.any()) for shift in shifts)
    return bool(scales) and not moved and all(bool(state[name].remainder(1).eq(0).all()) for name in scales)


def _describe(network: nn.Module) -> ModelSpec:
    """Return the spec of a module; timm models also provide their normalization."""
    if hasattr(network, "pretrained_cfg"):
        from tutelage.models.libraries.timm_models import describe

        return describe(type(network).__name__, network, pretrained=False)
    return ModelSpec(type(network).__name__, _count_logits(network))


@torch.no_grad()
def _count_logits(network: nn.Module) -> int:
    """Return the number of logits, measured on one black image."""
    training = {module: module.training for module in network.modules()}
    place = next((parameter for parameter in network.parameters()), torch.zeros(()))
    reason = ""
    try:
        network.eval()
        for side in _SIDES:
            try:
                output = network(torch.zeros(1, 3, side, side, device=place.device, dtype=place.dtype))
            except Exception as error:  # networks fail in many ways if the image is too small
                reason = reason or shortened(" ".join(str(error).split()))
                continue
            return _width(network, output)
    finally:
        for module, mode in training.items():
            module.training = mode
    raise TutelageError(
        f"{type(network).__name__} does not accept images of shape (1, 3, H, W): {reason}; adapt its forward method"
    )


def _width(network: nn.Module, output: Any) -> int:
    try:
        logits: Tensor = main_output(output, (Tensor,))
        what = f"a tensor of shape {tuple(logits.shape)}"
        if logits.ndim == 2:
            return logits.shape[1]
    except TutelageError:
        what = type(output).__name__
    raise TutelageError(f"{type(network).__name__} returns {what}; return logits of shape (B, classes)")


def _file(module: nn.Module, modules: dict[str, nn.Module]) -> str:
    if any(other is module for other in modules.values()):
        raise TutelageError(
            f"the same {type(module).__name__} is passed twice; pass copy.deepcopy(module) as one of them"
        )
    plain = name = MODULE + type(module).__name__
    number = 1
    while name in modules:
        number += 1
        name = f"{plain}-{number}"
    modules[name] = module
    return name


def _itself(module: nn.Module, num_classes: int | None) -> nn.Module:
    return module


def _import(reference: str) -> Builder:
    place, _, path = reference.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        function: Any = import_module(place)
    except ModuleNotFoundError as error:
        raise TutelageError(
            f"model '{reference}': there is no Python module '{error.name}'; check the name or install it"
        ) from None
    for name in path.split("."):
        if not hasattr(function, name):
            raise TutelageError(f"model '{reference}': module {place} has no '{path}'; check the function's name")
        function = getattr(function, name)
    if not callable(function):
        raise TutelageError(
            f"model '{reference}': {function!r:.80} is not callable; name a function that returns a module"
        )
    takes_classes = "num_classes" in inspect.signature(function).parameters

    def build(num_classes: int | None) -> nn.Module:
        wanted = {"num_classes": num_classes} if takes_classes and num_classes is not None else {}
        network: nn.Module = function(**wanted)
        return network

    return build


def _unknown(name: str) -> str:
    if name.startswith(MODULE):
        return f"{name} is a module that was passed in Python; pass it again, as in network=MODULE"
    return f"{name} would run your code, and stored files may not do that by themselves; pass network={name}"
