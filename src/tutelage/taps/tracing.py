"""Tracing a network into a graph whose points have names: modules by path, functions as torchvision names them."""

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
from tutelage.taps.sharing import NormBeforeActivation


class Untraceable(Exception):
    """torch.fx cannot trace the network: its Python depends on the values or sizes of tensors."""


@dataclass(frozen=True)
class TracedPoint:
    """A value of the graph with a name; ``path`` and ``source`` are the module it leaves and what entered it."""

    name: str
    node: fx.Node
    operation: str
    path: str | None = None
    source: fx.Node | None = None


@dataclass(frozen=True)
class Trace:
    """A graph and its named points, in order of execution."""

    graph: fx.Graph
    points: list[TracedPoint]
    repeated: dict[str, list[str]]

    def find(self, tap: str) -> fx.Node:
        """Returns the node of a tap (``layer3``, ``layer3:in``, ``layer3.1.add``), or raises TutelageError."""
        nodes = {point.name: point.node for point in self.points}
        nodes |= {f"{point.name}:in": point.source for point in self.points if point.source is not None}
        if tap not in nodes:
            raise no_such_tap(tap, list(nodes), self.repeated)
        return nodes[tap]


def no_such_tap(tap: str, names: list[str], repeated: dict[str, list[str]], note: str = "") -> TutelageError:
    """Builds the error for a tap that names nothing, or more than one call."""
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
    """Traces a sharing clone in its present mode; no tensor operation runs. Raises Untraceable.

    ``inplace`` are the modules that worked in place in the original: whoever reads their input afterwards must see
    their output. The graph returns the main logits alone.
    """
    tracer = NetworkTracer(inplace)
    try:
        graph = tracer.trace(network)
    except Exception as error:  # whatever the network's own Python raises when it is handed symbols
        raise Untraceable(f"{type(error).__name__}: {error}") from error
    points, repeated = name_calls(tracer.points, {path for path, _ in network.named_modules(remove_duplicate=False)})
    return Trace(graph, points, repeated)


def name_calls(points: list[Any], modules: set[str]) -> tuple[list[Any], dict[str, list[str]]]:
    """Gives each call of a module that runs more than once a name: ``relu_0``, ``relu_1``, …

    Takes points with fields ``name`` and ``path`` (None for a function), returns them renamed, and the calls of each
    repeated module. Numbers that would hide another module of the network are passed over.
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
    """Records what enters and leaves every module, and keeps the graph free of in-place operations.

    An in-place call is recorded out of place, and the Python variable it was called on then stands for its result: what
    reads the variable later sees the new value, as it would have in memory, and the old value stays readable.
    """

    proxy_buffer_attributes = True

    def __init__(self, inplace: frozenset[nn.Module]) -> None:
        # Some releases of torch declare a tuple of one module here. They take several, as their documentation says.
        modules: tuple[Any, ...] = opaque_modules()
        super().__init__(modules, opaque_functions(), param_shapes_constant=True)
        self.leaves = leaves()
        self.inplace = inplace
        self.points: list[TracedPoint] = []
        self._path = ""
        self._seen: Counter[str] = Counter()
        self._reserved: set[str] = set()

    def create_args_for_root(self, root_fn: Callable[..., Any], is_module: bool, concrete_args: Any = None) -> Any:
        # One image batch goes in; optional arguments (masks, targets) keep their defaults instead of becoming symbols.
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
        if variable.node.op == "get_attr":  # a buffer that the network itself updates: this one must happen in place
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
        """Returns ``base``, or the first of ``base_1``, ``base_2``, … that names nothing yet."""
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
