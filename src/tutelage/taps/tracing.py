"""Trace a network into a graph with named points: modules by path, functions by torchvision's naming scheme."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import fx, nn

from tutelage.errors import TutelageError, nearest
from tutelage.models import main_output
from tutelage.taps.inplace import is_inplace, out_of_place
from tutelage.taps.libraries import leaves, opaque_functions, opaque_modules
from tutelage.taps.points import is_activation
from tutelage.taps.sharing import NormBeforeActivation


class Untraceable(Exception):
    """Error raised if torch.fx cannot trace a network, for example because its code depends on values of tensors."""


@dataclass(frozen=True)
class TracedPoint:
    """Named value of a graph; for the output of a module, also the module's ``path`` and input (``source``)."""

    name: str
    node: fx.Node
    operation: str
    path: str | None = None
    source: fx.Node | None = None


@dataclass(frozen=True)
class Trace:
    """Graph and its named points in order of execution, and the calls of modules that run more than once."""

    graph: fx.Graph
    points: list[TracedPoint]
    repeated: dict[str, list[str]]

    def find(self, tap: str) -> fx.Node:
        """Return the node of a tap (``layer3``, ``layer3:in``, ``layer3.1.add``).

        Raises:
            TutelageError: If the tap does not exist.
        """
        nodes = {point.name: point.node for point in self.points}
        nodes |= {f"{point.name}:in": point.source for point in self.points if point.source is not None}
        if tap not in nodes:
            raise no_such_tap(tap, list(nodes), self.repeated)
        return nodes[tap]


def operation_of(network: nn.Module, node: fx.Node) -> str:
    """Return the name of a node's module class or function, in lower case."""
    if node.op == "call_module":
        return type(network.get_submodule(str(node.target))).__name__.lower()
    return (node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")).lower()


def feeds_activation(network: nn.Module, node: fx.Node, passing: tuple[str, ...]) -> bool:
    """Return whether an activation function reads the node, directly or through operations named ``passing``."""
    names = {user: operation_of(network, user) for user in node.users}
    return any(
        is_activation(name) or (name in passing and feeds_activation(network, user, passing))
        for user, name in names.items()
    )


def no_such_tap(tap: str, names: list[str], repeated: dict[str, list[str]], note: str = "") -> TutelageError:
    """Return the error for a tap that does not exist or stands for several calls."""
    name, _, side = tap.partition(":")
    if name in repeated:
        suffix = f":{side}" if side else ""
        calls = ", ".join(call + suffix for call in repeated[name])
        times = "twice" if len(repeated[name]) == 2 else f"{len(repeated[name])} times"
        return TutelageError(f"tap '{tap}' runs {times} in one forward pass; name one call: {calls}")
    close = nearest(tap, names)
    places = [known for known in names if "." not in known and not known.endswith(":in")]
    hint = f"did you mean {' or '.join(close)}?" if close else f"the network has {', '.join(places)}"
    return TutelageError(f"no tap '{tap}' in this network: {hint}{note}")


def trace_network(network: nn.Module, inplace: frozenset[nn.Module]) -> Trace:
    """Return the trace of a sharing clone in its current mode. The graph returns only the main logits.

    Args:
        network: The sharing clone.
        inplace: Modules that work in place in the original, so that later readers of their input see their output.

    Raises:
        Untraceable: If torch.fx cannot trace the network.
    """
    tracer = NetworkTracer(inplace)
    try:
        graph = tracer.trace(network)
    except Exception as error:  # the network's own code can raise anything if it is called with symbols
        raise Untraceable(f"{type(error).__name__}: {error}") from error
    points, repeated = name_calls(tracer.points, {path for path, _ in network.named_modules(remove_duplicate=False)})
    return Trace(graph, points, repeated)


def name_calls(points: list[Any], modules: set[str]) -> tuple[list[Any], dict[str, list[str]]]:
    """Name the calls of modules that run more than once: ``relu_0``, ``relu_1``, …

    Args:
        points: Dataclass instances with fields ``name`` and ``path`` (None for a function).
        modules: Paths of all modules of the network; numbers that would result in one of them are skipped.

    Returns:
        The renamed points, and the names of the calls of each repeated module.
    """
    totals = Counter(point.path for point in points if point.path is not None and point.name == point.path)
    taken = modules | {point.name for point in points if point.name != point.path}
    repeated: dict[str, list[str]] = {path: [] for path, total in totals.items() if total > 1}
    upcoming: Counter[str] = Counter()
    named = []
    for point in points:
        if point.path in repeated and point.name == point.path:
            while (name := f"{point.path}_{upcoming[point.path]}") in taken:
                upcoming[point.path] += 1
            upcoming[point.path] += 1
            repeated[point.path].append(name)
            point = type(point)(**{**vars(point), "name": name})
        named.append(point)
    return named, repeated


class NetworkTracer(fx.Tracer):
    """Tracer that records inputs and outputs of all modules and replaces in-place operations.

    An in-place call is recorded in its out-of-place form, and its Python variable then refers to the result. Later
    reads of the variable thus see the new value, as in memory, and the old value can still be tapped.
    """

    proxy_buffer_attributes = True

    def __init__(self, inplace: frozenset[nn.Module]) -> None:
        # Any, because some releases of PyTorch annotate a tuple of exactly one module, although they accept several.
        modules: tuple[Any, ...] = opaque_modules()
        super().__init__(modules, opaque_functions(), param_shapes_constant=True)
        self.leaves = leaves()
        self.inplace = inplace
        self.points: list[TracedPoint] = []
        self._path = ""
        self._seen: Counter[str] = Counter()
        self._reserved: set[str] = set()

    def create_args_for_root(self, root_fn: Callable[..., Any], is_module: bool, concrete_args: Any = None) -> Any:
        # The images are the only input; optional arguments (masks, targets) keep their defaults.
        def forward(root: nn.Module, images: fx.Proxy) -> fx.Proxy:
            return main_output(root_fn(root, images), (fx.Proxy,))

        assert isinstance(self.root, nn.Module)
        self._reserved = {path for path, _ in self.root.named_modules(remove_duplicate=False)}
        return forward, [self.root, self.create_proxy("placeholder", "images", (), {})]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, self.leaves) or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        path = self.path_of_module(m)
        proxies = [value for value in (*args, *kwargs.values()) if isinstance(value, fx.Proxy)]
        source = proxies[0].node if proxies else None
        outer, self._path = self._path, path
        try:
            if isinstance(m, NormBeforeActivation):
                output = self._norm_then_activation(m, path, args)
            elif self.is_leaf_module(m, path):
                output = self.create_proxy("call_module", path, args, kwargs)
                if m in self.inplace:
                    proxies[0].node = output.node
            else:
                output = forward(*args, **kwargs)
        finally:
            self._path = outer
        node = _first_node(output)
        if node is not None:
            self.points.append(TracedPoint(path, node, type(m).__name__, path, source))
        return output

    def _norm_then_activation(self, module: NormBeforeActivation, path: str, args: Any) -> fx.Proxy:
        output = self.create_proxy("call_module", path, args, {})
        self.points.append(TracedPoint(self._unused(f"{path}.norm"), output.node, "BatchNorm2d"))
        for child in (module.drop, module.act):
            if not isinstance(child, nn.Identity):
                output = child(output)
        return output

    def create_proxy(self, kind: str, target: Any, args: Any, kwargs: Any, *rest: Any, **more: Any) -> Any:
        if args and isinstance(args[0], fx.Proxy) and is_inplace(kind, target, kwargs):
            return self._replace_inplace(kind, target, args, kwargs)
        proxy = super().create_proxy(kind, target, args, kwargs, *rest, **more)
        if kind in ("call_function", "call_method"):
            operation = target if isinstance(target, str) else getattr(target, "__name__", str(target))
            self.points.append(TracedPoint(self._function_name(proxy.node), proxy.node, operation))
        return proxy

    def _replace_inplace(self, kind: str, target: Any, args: Any, kwargs: Any) -> fx.Proxy:
        variable: fx.Proxy = args[0]
        if variable.node.op == "get_attr":  # an update of a buffer, which must happen in place
            proxy = super().create_proxy(kind, target, args, kwargs)
            proxy.node.meta["updates_buffer"] = True
        elif (plain := out_of_place(kind, target, kwargs)) is not None:
            proxy = self.create_proxy(kind, plain[0], args, plain[1])
            variable.node = proxy.node
        else:
            copy = super().create_proxy("call_method", "clone", (variable,), {})
            proxy = super().create_proxy(kind, target, (copy, *args[1:]), kwargs)
            variable.node = proxy.node
        return proxy

    def _function_name(self, node: fx.Node) -> str:
        return self._unused(".".join(filter(None, (self._path, re.sub(r"_\d+$", "", node.name)))))

    def _unused(self, base: str) -> str:
        """Return ``base``, or the first of ``base_1``, ``base_2``, … that is not in use, and reserve it."""
        name = base
        while name in self._reserved:
            self._seen[base] += 1
            name = f"{base}_{self._seen[base]}"
        self._reserved.add(name)
        return name


def _first_node(output: Any) -> fx.Node | None:
    if isinstance(output, fx.Proxy):
        return output.node
    if isinstance(output, dict):
        output = tuple(output.values())
    if isinstance(output, (list, tuple)):
        return next((node for node in map(_first_node, output) if node is not None), None)
    return None
