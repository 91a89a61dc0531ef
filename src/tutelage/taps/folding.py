"""Fold batch normalization into convolutions, for faster reading of a network in eval mode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tutelage.taps.extraction import Tapped, reading_graph, restore_inplace, tapped
from tutelage.taps.sharing import sharing_clone, split_norm_activations, switch_off_inplace
from tutelage.taps.tracing import Untraceable, trace_network


def folded(model: nn.Module, taps: Sequence[str], logits: bool = True) -> nn.Module:
    """Return ``tapped(model, taps, logits)`` fixed in eval mode, with batch normalization folded into convolutions.

    A batch normalization y = γ(x − μ)/σ + β is merged into the weights of the preceding convolution if nothing else
    reads the convolution's output. Merged weights are copies: the model does not change, and later changes of the model
    have no effect. Fold in float32, before casting to a lower precision. Networks that torch.fx cannot trace are not
    folded.

    Args:
        model: Any network.
        taps: Names of the features to read, see ``tapped``.
        logits: Whether to compute the logits, see ``tapped``.

    Returns:
        The module, always in eval mode.

    Raises:
        TutelageError: If a tap does not exist; similar names are suggested.

    Example:
        >>> import torch
        >>> from tutelage import create_model
        >>> from tutelage.taps import folded, tapped
        >>> model, images = create_model("resnet8").eval(), torch.rand(1, 3, 32, 32)
        >>> torch.allclose(folded(model, [])(images)[0], tapped(model, [])(images)[0], atol=1e-4)
        True
    """
    network = sharing_clone(model).eval()
    inplace = switch_off_inplace(network)
    split_norm_activations(network)
    try:
        graph = reading_graph(trace_network(network, inplace), taps, logits)
    except Untraceable:
        return tapped(model, taps, logits, frozen=("",)).eval()
    _fold(network, graph)
    graphs = {True: graph, False: graph}
    restore_inplace(network, graphs, inplace)
    return Tapped(network, graphs, frozen=("",)).eval()


def _fold(network: nn.Module, graph: fx.Graph) -> None:
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    for norm in list(graph.nodes):
        source = norm.args[0] if norm.op == "call_module" and norm.args else None
        if not isinstance(source, fx.Node) or source.op != "call_module" or len(source.users) > 1:
            continue
        first, second = (network.get_submodule(str(node.target)) for node in (source, norm))
        if type(first) is not nn.Conv2d or not isinstance(second, nn.BatchNorm2d):
            continue
        if second.track_running_stats and calls[source.target] == calls[norm.target] == 1:
            parent, _, name = str(source.target).rpartition(".")
            network.get_submodule(parent)._modules[name] = fuse_conv_bn_eval(first, second)
            norm.replace_all_uses_with(source)
            graph.erase_node(norm)
