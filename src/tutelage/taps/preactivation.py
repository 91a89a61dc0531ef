"""Find the value before a level's activation, and the batch normalization that computes it."""

from __future__ import annotations

from torch import fx, nn

from tutelage.taps.points import is_activation
from tutelage.taps.sharing import sharing_clone, split_norm_activations, switch_off_inplace
from tutelage.taps.tracing import Trace, Untraceable, feeds_activation, operation_of, trace_network

# Operations that return their input in eval mode.
_PASSIVE = ("identity", "dropout", "dropout2d", "droppath", "stochasticdepth")
_POOLS = ("maxpool2d", "avgpool2d", "blurpool2d", "max_pool2d", "avg_pool2d")
_SUMS = ("add", "iadd", "add_")


def before_activation(model: nn.Module, tap: str) -> str:
    """Return the tap that reads the features of ``tap`` before their activation function.

    * If an activation computes the features (a level of a ResNet), the tap reads the input of that activation, for
      example the sum of the residual block.
    * If the features are not activated (a level of a pre-activation network), the tap reads the input of the next
      activation at the same resolution. In a wide ResNet, this is the output of the batch normalization at the start of
      the next block. If a convolution of stride 1 lies between that normalization and the activation, as in
      PyramidNet, it is the output of the second normalization, after the convolution; with a larger stride, it is
      the output of the first one.
    * Otherwise (transformers, linear bottlenecks, networks that torch.fx cannot trace), it is ``tap`` itself.

    Args:
        model: Any network.
        tap: Tap of the model.

    Raises:
        TutelageError: If the tap does not exist.

    Example:
        >>> from tutelage import create_model
        >>> from tutelage.taps import before_activation
        >>> before_activation(create_model("resnet8"), "layer3")
        'layer3.0.add'
    """
    network, trace = _trace(model)
    if trace is None:
        return tap
    node = trace.find(tap)
    chosen = _pre_activation(network, node)
    return tap if chosen is node else next(point.name for point in trace.points if point.node is chosen)


def norm_before(model: nn.Module, tap: str) -> nn.BatchNorm2d | None:
    """Return the batch normalization whose output a pre-activation tap reads.

    For the sum of a residual block, it is the last normalization of the block's own branch.

    Args:
        model: Any network.
        tap: Tap of the model, as ``before_activation`` returns it.

    Returns:
        The module, or None if there is no such normalization or it has no weight and bias.

    Raises:
        TutelageError: If the tap does not exist.

    Example:
        >>> from tutelage import create_model
        >>> from tutelage.taps import norm_before
        >>> norm_before(create_model("resnet8"), "layer3.0.add").num_features
        64
    """
    network, trace = _trace(model)
    path = _norm_path(network, trace.find(tap)) if trace is not None else None
    norm = model.get_submodule(path) if path is not None else None
    return norm if isinstance(norm, nn.BatchNorm2d) and norm.affine else None


def _trace(model: nn.Module) -> tuple[nn.Module, Trace | None]:
    network = sharing_clone(model).eval()
    inplace = switch_off_inplace(network)
    split_norm_activations(network)
    try:
        return network, trace_network(network, inplace)
    except Untraceable:
        return network, None


def _pre_activation(network: nn.Module, node: fx.Node) -> fx.Node:
    made_by = _back(network, node, _PASSIVE + _POOLS)
    if is_activation(operation_of(network, made_by)):
        return _back(network, _source(made_by), _PASSIVE)
    if feeds_activation(network, node, _PASSIVE):
        return node
    norm = next((user for user in node.users if _is_norm(network, user)), None)
    if norm is None:
        return node
    if feeds_activation(network, norm, _PASSIVE):
        return norm
    return _inner_norm(network, norm) or norm


def _inner_norm(network: nn.Module, norm: fx.Node) -> fx.Node | None:
    """Return the second normalization in the sequence norm, convolution of stride 1, normalization, activation."""
    for convolution in norm.users:
        if convolution.op != "call_module":
            continue
        module = network.get_submodule(str(convolution.target))
        if isinstance(module, nn.Conv2d) and set(module.stride) == {1}:
            for inner in convolution.users:
                if _is_norm(network, inner) and feeds_activation(network, inner, _PASSIVE):
                    return inner
    return None


def _norm_path(network: nn.Module, node: fx.Node) -> str | None:
    node = _back(network, node, _PASSIVE)
    if _is_norm(network, node):
        return str(node.target)
    if operation_of(network, node) in _SUMS:
        branches = [_back(network, branch, _PASSIVE) for branch in node.args if isinstance(branch, fx.Node)]
        norms = [branch for branch in branches if _is_norm(network, branch)]
        # An earlier normalization on the skip connection also has other readers. One in a projection has no others, but
        # comes second.
        own = [norm for norm in norms if len(norm.users) == 1]
        return str((own or norms)[0].target) if norms else None
    return None


def _back(network: nn.Module, node: fx.Node, through: tuple[str, ...]) -> fx.Node:
    while operation_of(network, node) in through:
        node = _source(node)
    return node


def _source(node: fx.Node) -> fx.Node:
    source = node.args[0]
    assert isinstance(source, fx.Node)
    return source


def _is_norm(network: nn.Module, node: fx.Node) -> bool:
    return node.op == "call_module" and isinstance(network.get_submodule(str(node.target)), nn.BatchNorm2d)
