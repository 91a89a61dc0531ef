"""The tapped network: one forward pass that gives the logits and the features read on the way."""

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
    """Returns a module whose forward gives ``(logits, features)`` with ``features`` = {tap: tensor}.

    It shares parameters and buffers with ``model`` and leaves its mode, flags and state dict alone; parameters have the
    same names. In train mode and in eval mode it computes what the model computes, and no in-place operation overwrites
    a tapped tensor. A network with several outputs gives its main logits.

    taps: module paths for what a module returns (``layer3``), with ``:in`` for what enters it (``layer3:in``),
    functions under torchvision's names (``layer3.1.add``), the value before the activation of timm's BatchNormAct2d as
    ``bn1.norm``. A module that runs more than once is named by its call: ``relu_0``, ``relu_1``.
    logits: False stops at the deepest tap and gives None in their place; only the parameters above it are kept.
    frozen: names of modules which stay in eval mode, with all below them, whatever the mode of the rest.

    Where torch.fx cannot trace the network, modules are read by hooks, and functions cannot be tapped.
    Raises TutelageError for a tap or a frozen module that does not exist, with the nearest names.
    """
    if not taps and not logits:
        raise TutelageError("nothing to compute: name at least one tap, or ask for the logits")
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
    """A traced network under the original's names, with one graph for train mode and one for eval mode."""

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
        # Not registered, because it also holds what lies below the deepest tap.
        set_unregistered(self, "_network", network)
        self._forwards = {mode: type(fx.GraphModule(network, graph)).forward for mode, graph in graphs.items()}

    def forward(self, images: Tensor) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Returns (logits or None, {tap: tensor}) for images (B, C, H, W)."""
        return self._forwards[self.training](self, images)

    def train(self, mode: bool = True) -> Tapped:
        """Selects the graph and sets the modules' mode; frozen modules stay in eval mode."""
        super().train(mode)
        self._network.train(mode)  # a network may set parts of itself apart in a train() of its own
        freeze(self._network, self.frozen_modules)
        return self


def reading_graph(trace: Trace, taps: Sequence[str], logits: bool) -> fx.Graph:
    """Makes the graph return ``(logits or None, {tap: value})`` and nothing be computed besides."""
    graph = trace.graph
    output = next(node for node in reversed(graph.nodes) if node.op == "output")
    features = {tap: trace.find(tap) for tap in taps}
    output.args = ((output.args[0] if logits else None, features),)
    # Not Graph.eliminate_dead_code: it keeps random functions below the deepest tap, and drops updates of buffers.
    for node in reversed(list(graph.nodes)):
        if not node.users and node.op not in ("placeholder", "output") and not node.meta.get("updates_buffer"):
            graph.erase_node(node)
    return graph


_FRESH_MODULES = (nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm, nn.Linear, nn.LayerNorm, nn.GroupNorm)


def restore_inplace(network: nn.Module, graphs: dict[bool, fx.Graph], inplace: frozenset[nn.Module]) -> None:
    """Lets activations work in place again where nobody else can see their input: it costs no memory then.

    That is where every call of the module reads the new tensor of a convolution, normalisation or linear layer, and
    nothing but the module reads it.
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
