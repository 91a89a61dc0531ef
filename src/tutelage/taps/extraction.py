"""Networks that return their logits and intermediate features from one forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, fx, nn

from tutelage.errors import TutelageError
from tutelage.taps.hooks import HookedNetwork
from tutelage.taps.sharing import freeze, sharing_clone, skeleton, split_norm_activations, switch_off_inplace
from tutelage.taps.tracing import Trace, Untraceable, trace_network
from tutelage.taps.unregistered import set_unregistered


def tapped(model: nn.Module, taps: Sequence[str], logits: bool = True, frozen: Sequence[str] = ()) -> nn.Module:
    """Return a module whose forward pass returns ``(logits, features)`` with features {tap: tensor}.

    The module shares parameters (under the same names) and buffers with ``model``, whose mode, flags and state dict do
    not change. It computes the same results as ``model`` in train and eval mode, and no in-place operation overwrites a
    tapped tensor. Networks that torch.fx cannot trace are read by hooks; their functions cannot be tapped.

    Args:
        model: Any network. If it has several outputs, its main logits are returned.
        taps: Names of the features to read:

            * The path of a module for its output (``layer3``), with ``:in`` for its input (``layer3:in``).
            * A function by torchvision's name (``layer3.1.add``).
            * ``bn1.norm`` for the value before the activation of timm's ``BatchNormAct2d``.
            * A call of a module that runs more than once (``relu_0``, ``relu_1``).
        logits: Whether to compute the logits. If False, the forward pass stops at the deepest tap and returns None for
            the logits, and the module only holds the parameters needed to get there.
        frozen: Names of modules that stay in eval mode, including their submodules.

    Returns:
        The module, in the mode of ``model``.

    Raises:
        TutelageError: If a tap or a frozen module does not exist (similar names are suggested), or nothing is to be
            computed.

    Example:
        >>> import torch
        >>> from tutelage import create_model
        >>> from tutelage.taps import tapped
        >>> reader = tapped(create_model("resnet8"), ["layer2", "layer3:in"])
        >>> logits, features = reader(torch.zeros(1, 3, 32, 32))
        >>> features["layer2"].shape
        torch.Size([1, 32, 16, 16])
    """
    if not taps and not logits:
        raise TutelageError("nothing to compute; pass at least one tap, or logits=True")
    network = sharing_clone(model)
    inplace = switch_off_inplace(network)
    split_norm_activations(network)
    graphs = {}
    try:
        for mode in (True, False):
            network.train(mode)
            freeze(network, tuple(frozen))
            graphs[mode] = reading_graph(trace_network(network, inplace), taps, logits)
    except Untraceable as reason:
        return HookedNetwork(model, taps, logits, tuple(frozen), str(reason))
    restore_inplace(network, graphs, inplace)
    return Tapped(network, graphs, tuple(frozen)).train(model.training)


class Tapped(nn.Module):
    """Traced network with the names of the original, one graph for train mode and one for eval mode."""

    _network: nn.Module

    def __init__(self, network: nn.Module, graphs: dict[bool, fx.Graph], frozen: tuple[str, ...]) -> None:
        super().__init__()
        nodes = [node for graph in graphs.values() for node in graph.nodes]
        tree = skeleton(
            network,
            modules={str(node.target) for node in nodes if node.op == "call_module"},
            tensors={str(node.target) for node in nodes if node.op == "get_attr"},
        )
        for name in ("_modules", "_parameters", "_buffers", "_non_persistent_buffers_set"):
            setattr(self, name, getattr(tree, name))
        self.frozen_modules = frozen
        # Not registered, because it also holds the layers after the deepest tap.
        set_unregistered(self, "_network", network)
        self._forwards = {mode: type(fx.GraphModule(network, graph)).forward for mode, graph in graphs.items()}

    def forward(self, images: Tensor) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Return (logits or None, {tap: tensor}) for images (B, C, H, W)."""
        return self._forwards[self.training](self, images)

    def train(self, mode: bool = True) -> Tapped:
        """Select the graph and set the mode of the modules; frozen modules stay in eval mode."""
        super().train(mode)
        self._network.train(mode)  # a network may override train(), for example to keep parts in eval mode
        freeze(self._network, self.frozen_modules)
        return self


def reading_graph(trace: Trace, taps: Sequence[str], logits: bool) -> fx.Graph:
    """Change the graph to return ``(logits or None, {tap: value})``, and remove everything this does not need."""
    graph = trace.graph
    output = next(node for node in reversed(graph.nodes) if node.op == "output")
    features = {tap: trace.find(tap) for tap in taps}
    output.args = ((output.args[0] if logits else None, features),)
    # Not Graph.eliminate_dead_code: it keeps random functions after the deepest tap and removes updates of buffers.
    for node in reversed(list(graph.nodes)):
        if not node.users and node.op not in ("placeholder", "output") and not node.meta.get("updates_buffer"):
            graph.erase_node(node)
    return graph


_FRESH_MODULES = (nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm, nn.Linear, nn.LayerNorm, nn.GroupNorm)


def restore_inplace(network: nn.Module, graphs: dict[bool, fx.Graph], inplace: frozenset[nn.Module]) -> None:
    """Switch activations back to in-place operation where no other operation reads their input, to save memory.

    This holds if every call of the module is the only reader of the fresh output of a convolution, normalization or
    linear layer.
    """
    calls: dict[str, list[fx.Node]] = {}
    for graph in graphs.values():
        for node in graph.nodes:
            if node.op == "call_module":
                calls.setdefault(node.target, []).append(node)
    for path, nodes in calls.items():
        module = network.get_submodule(path)
        if module in inplace and all(_only_reader(network, node) for node in nodes):
            module.inplace = True  # type: ignore[assignment]


def _only_reader(network: nn.Module, node: fx.Node) -> bool:
    source: Any = node.args[0] if node.args else None
    return (
        isinstance(source, fx.Node)
        and len(source.users) == 1
        and source.op == "call_module"
        and isinstance(network.get_submodule(str(source.target)), _FRESH_MODULES)
    )
