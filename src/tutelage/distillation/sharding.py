"""Shard weights over processes (FSDP2), for networks that do not fit on one device."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch import Tensor, fx, nn

from tutelage.taps import leaves

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh


def shard_layers(
    network: nn.Module, mesh: DeviceMesh | None, smallest: int, shared: frozenset[nn.Parameter] = frozenset()
) -> None:
    """Shard the parameters; a layer is gathered when it runs and freed afterwards.

    Layers with fewer than ``smallest`` parameters are gathered together, when the network starts to run. So are layers
    with parameters in ``shared``, which other modules use after it: all these are freed after the backward pass.
    """
    from torch.distributed.fsdp import fully_shard

    for layer in list(large_layers(network, smallest)):
        if shared.isdisjoint(layer.parameters()):
            fully_shard(layer, mesh=mesh, reshard_after_forward=True)
    if not all(map(_is_spread, network.parameters())):
        fully_shard(network, mesh=mesh, reshard_after_forward=shared.isdisjoint(network.parameters()))


def shard_rest(network: nn.Module, mesh: DeviceMesh | None, smallest: int) -> None:
    """Shard the large layers of a network that :func:`shard_layers` did not reach through a copy of its graph."""
    from torch.distributed.fsdp import fully_shard

    for layer in list(large_layers(network, smallest)):
        fully_shard(layer, mesh=mesh)


def hand_back(part: nn.Module, whole: nn.Module) -> None:
    """Assign the sharded parameters of ``part`` to the same names in ``whole``, from which it was extracted."""
    for path, parameter in part.named_parameters(remove_duplicate=False):
        owner, _, name = path.rpartition(".")
        whole.get_submodule(owner)._parameters[name] = parameter


def is_sharded(network: nn.Module) -> bool:
    """Return whether any of the parameters is sharded."""
    return any(map(_is_spread, network.parameters()))


def _is_spread(parameter: Tensor) -> bool:
    # Importing DTensor takes a second; if it was never imported, no parameter is a DTensor.
    tensors = sys.modules.get("torch.distributed.tensor")
    return tensors is not None and isinstance(parameter, tensors.DTensor)


def large_layers(network: nn.Module, smallest: int) -> Iterator[nn.Module]:
    """Yield the layers with at least ``smallest`` parameters that are not sharded yet.

    A layer is a module that a traced graph calls: a module without children, or one that cannot be traced.
    """
    from torch.distributed.fsdp import FSDPModule

    for name, child in network.named_children():
        if not _is_layer(child, name):
            yield from large_layers(child, smallest)
        elif not isinstance(child, FSDPModule):
            own = [parameter.numel() for parameter in child.parameters() if not _is_spread(parameter)]
            if own and sum(own) >= smallest:
                yield child


def _is_layer(module: nn.Module, name: str) -> bool:
    if type(module) in (nn.Module, nn.ModuleList):
        return False  # a container in a reader or a connector, which is never called itself
    childless = next(module.children(), None) is None
    return childless or isinstance(module, leaves()) or fx.Tracer().is_leaf_module(module, name)
