"""Copies of a network's modules that share the original's parameters and buffers."""

from __future__ import annotations

from types import MethodType
from typing import Any

from torch import nn

from tutelage.errors import unknown
from tutelage.taps.libraries import is_norm_with_activation, leaves


class NormBeforeActivation(nn.BatchNorm2d):
    """Batch normalization of timm's ``BatchNormAct2d`` without its activation.

    ``drop`` and ``act`` stay its children, but calling the module only normalizes. The tracer adds the calls of
    ``drop`` and ``act``, so that the value before the activation is a separate node and parameters keep their names
    (``bn1.weight``).
    """

    drop: nn.Module
    act: nn.Module


def sharing_clone(model: nn.Module) -> nn.Module:
    """Return a copy of the module tree whose modules hold the *same* parameter and buffer dictionaries.

    Replacing or changing a tensor in either tree (``to``, ``load_state_dict``, a running mean) therefore changes both.
    The copy has its own mode, hooks and plain attributes (``inplace``). A module that appears several times in the tree
    is also one module in the copy.
    """
    twins = {id(module): _twin(module) for module in model.modules()}
    for twin in twins.values():
        state = twin.__dict__
        state["_modules"] = {
            name: child if child is None else twins[id(child)] for name, child in state["_modules"].items()
        }
        for name, value in state.items():
            state[name] = _rewired(value, twins)
    return twins[id(model)]


def _twin(module: nn.Module) -> nn.Module:
    twin: nn.Module = object.__new__(type(module))
    for name, value in module.__dict__.items():
        twin.__dict__[name] = value.copy() if "hook" in name and isinstance(value, dict) else value
    return twin


def _rewired(value: Any, twins: dict[int, nn.Module]) -> Any:
    """Return an attribute's value with bound methods and modules replaced by those of the twins."""
    if isinstance(value, MethodType) and id(value.__self__) in twins:
        return MethodType(value.__func__, twins[id(value.__self__)])
    if isinstance(value, nn.Module):
        return twins.get(id(value), value)
    if type(value) in (list, tuple):
        return type(value)(_rewired(item, twins) for item in value)
    return value


def switch_off_inplace(network: nn.Module) -> frozenset[nn.Module]:
    """Set all ``inplace`` flags to False, and return the modules whose flag was True."""
    switched = frozenset(module for module in network.modules() if getattr(module, "inplace", False) is True)
    for module in switched:
        module.inplace = False  # type: ignore[assignment]
    return switched


def split_norm_activations(network: nn.Module) -> None:
    """Change the class of timm's ``BatchNormAct2d`` modules in a sharing clone to ``NormBeforeActivation``.

    Modules that the tracer does not enter are skipped, because their own code calls the original class.
    """
    whole = leaves()
    for module in network.children():
        if is_norm_with_activation(module):
            module.__class__ = NormBeforeActivation
        elif not isinstance(module, whole):
            split_norm_activations(module)


def freeze(network: nn.Module, frozen: tuple[str, ...]) -> None:
    """Set the named modules and their submodules to eval mode.

    Raises:
        TutelageError: If a name is unknown.
    """
    paths = dict(network.named_modules(remove_duplicate=False))
    for prefix in frozen:
        if prefix not in paths:
            raise unknown("module to freeze", prefix, paths)
        paths[prefix].eval()


def skeleton(network: nn.Module, modules: set[str], tensors: set[str]) -> nn.Module:
    """Return a module tree with exactly the named modules and tensors of ``network``, under the same names.

    Args:
        network: The network to take them from.
        modules: Names of modules to include with their submodules.
        tensors: Names of parameters, buffers and constants that other modules hold directly.
    """
    root = nn.Module()
    for path in sorted(modules):
        parent, _, name = path.rpartition(".")
        _holder(root, parent)._modules.setdefault(name, network.get_submodule(path))
    by_owner: dict[str, set[str]] = {}
    for tensor in tensors:
        owner, _, name = tensor.rpartition(".")
        by_owner.setdefault(owner, set()).add(name)
    for path, names in sorted(by_owner.items()):
        if not any(path == module or path.startswith(f"{module}.") for module in modules):
            _share_tensors(network.get_submodule(path), _holder(root, path), names)
    return root


def _holder(root: nn.Module, path: str) -> nn.Module:
    for name in filter(None, path.split(".")):
        if name not in root._modules:
            root._modules[name] = nn.Module()
        child = root._modules[name]
        assert child is not None
        root = child
    return root


def _share_tensors(source: nn.Module, holder: nn.Module, names: set[str]) -> None:
    parameters = {name: value for name, value in source._parameters.items() if name in names}
    # The dictionary itself is shared if all of it is used. Otherwise parameters() must not list the rest, because DDP
    # would wait for its gradients. A filtered copy is safe, because parameters keep their identity under `to`.
    missing = any(value is not None and name not in names for name, value in source._parameters.items())
    holder._parameters = parameters if missing else source._parameters
    if names & source._buffers.keys():
        holder._buffers = source._buffers
        holder._non_persistent_buffers_set = source._non_persistent_buffers_set
    for name in names - source._parameters.keys() - source._buffers.keys():
        holder.register_buffer(name, getattr(source, name), persistent=False)
