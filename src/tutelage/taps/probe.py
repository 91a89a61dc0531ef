"""Probe a network: find all points that can be tapped, and their shapes, in one dry forward pass."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor, fx, nn

from tutelage.errors import TutelageError
from tutelage.models import find_heads, is_within, main_output
from tutelage.taps.embedding import EMBEDDING, embedding_tap, pooled
from tutelage.taps.extraction import tapped
from tutelage.taps.hooks import ModuleCall, dry_images, dry_run, record_calls
from tutelage.taps.layout import Size, lay_out
from tutelage.taps.levels import choose_levels
from tutelage.taps.points import Observation, TapPoint, is_activation
from tutelage.taps.sharing import sharing_clone, split_norm_activations, switch_off_inplace
from tutelage.taps.tracing import (
    Trace,
    Untraceable,
    feeds_activation,
    name_calls,
    no_such_tap,
    operation_of,
    trace_network,
)


class Probe:
    """Taps, levels and shapes of a network, found by a dry forward pass.

    The network's buffers and mode and the random state do not change.

    Args:
        model: Any network for images (B, 3, H, W).
        input_size: Size (H, W) of the images.

    Attributes:
        num_classes: Number of logits. None if the output is not (B, K).
        points: All taps in order of execution, except inputs (``NAME:in``).
        levels: The outputs of the network's levels, shallow to deep; see ``find_levels``.
        observations: The points with the properties that the search for levels needs.

    Raises:
        TutelageError: If the network does not run on images of this size, or does not return a floating-point tensor.

    Example:
        >>> from tutelage import create_model
        >>> from tutelage.taps import Probe
        >>> probe = Probe(create_model("resnet8"), input_size=(32, 32))
        >>> probe.num_classes, probe.stem, [level.name for level in probe.levels]
        (10, 'relu', ['layer1', 'layer2', 'layer3'])
        >>> probe.shape("layer3:in")
        (32, 16, 16)
    """

    def __init__(self, model: nn.Module, input_size: tuple[int, int]) -> None:
        self.model = model
        self.input_size = input_size
        output = main_output(dry_run(model, input_size), (Tensor,))
        if not isinstance(output, Tensor) or not output.is_floating_point():
            found = output.dtype if isinstance(output, Tensor) else type(output).__name__
            raise TutelageError(f"expected a floating-point tensor from the network, got {found}")
        self.num_classes = output.shape[1] if output.ndim == 2 else None
        self.observations, self._repeated = _observe(model, input_size)
        entered = [(o.point.name, o.source_shape) for o in self.observations]
        self._inputs = {f"{name}:in": shape for name, shape in entered if shape is not None}
        self.levels = choose_levels(self.observations)
        self.points = _number_levels([o.point for o in self.observations], self.levels)
        self._shapes = {**self._inputs, **{point.name: point.shape for point in self.points}}
        place = embedding_tap(model)
        if place is None or place in self._inputs:
            self._shapes[EMBEDDING] = tuple(output.shape[1:2]) if place is None else self._inputs[place][:1]

    def shape(self, tap: str) -> tuple[int, ...]:
        """Return the shape of a tap's features without the batch, (C, H, W) for maps and grids of tokens.

        Raises:
            TutelageError: If the tap does not exist.
        """
        if tap not in self._shapes:
            raise no_such_tap(tap, list(self._shapes), self._repeated)
        return self._shapes[tap]

    @property
    def classifier(self) -> nn.Linear | nn.Conv2d:
        """The layer that maps the embedding to the logits, with ``weight`` (K, D) and ``bias``.

        Raises:
            TutelageError: If the network has no classifier.
        """
        heads = find_heads(self.model)
        if not heads:
            raise TutelageError(f"the network ({type(self.model).__name__}) has no classifier; use one with a head")
        head = self.model.get_submodule(heads[0])
        assert isinstance(head, (nn.Linear, nn.Conv2d))
        return head

    @property
    def stages(self) -> list[TapPoint]:
        """Deprecated name of ``levels``, until 1.0."""
        warnings.warn("Probe.stages is now Probe.levels", DeprecationWarning, stacklevel=2)
        return self.levels

    @property
    def stem(self) -> str | None:
        """Tap of the stem: the last map before the first level, except pooling; None if there is no stem."""
        first = self.levels[0]
        alike = [o.module for o in self.observations if o.container and o.point.shape == first.shape]
        before = takewhile(lambda o: not is_within(o.point.name, [first.name]), self.observations)
        points = [o.point for o in before if not is_within(o.point.name, alike)]
        maps = [p.name for p in points if len(p.shape) == 3 and "pool" not in p.operation.lower()]
        return maps[-1] if maps else None

    @property
    def last_map(self) -> str:
        """Tap of the last map with several positions and the channels that the classifier reads.

        In networks that pool this map and pass it to the classifier, the classifier applied to each position gives
        class maps, whose means are the logits; see ``averages``.

        Raises:
            TutelageError: If there is no such map.
        """
        return self._last_maps[-1]

    @property
    def last_map_module(self) -> str:
        """Tap of the last such map that is the output of a module, after which another module can be inserted.

        Raises:
            TutelageError: If there is no such map.
        """
        modules = dict(self.model.named_modules())
        made = [tap for tap in self._last_maps if tap in modules]
        if not made:
            raise TutelageError(
                f"no module of {type(self.model).__name__} returns its last map ('{self.last_map}'); use another "
                f"network"
            )
        return made[-1]

    @property
    def _last_maps(self) -> list[str]:
        width = self.shape(EMBEDDING)[0]
        maps = [point for point in self.points if len(point.shape) == 3 and point.shape[0] == width]
        several = [point.name for point in maps if max(point.shape[1:]) > 1]
        if not several:
            size = "x".join(map(str, self.input_size))
            raise TutelageError(
                f"the classifier of {type(self.model).__name__} reads {width} channels, and no map of images of {size} "
                f"pixels has as many channels and more than one position; use larger images, or a network whose "
                f"classifier reads its pooled last map"
            )
        return several

    @torch.no_grad()
    def averages(self, tap: str) -> bool:
        """Return whether the classifier reads the mean of a map over its positions, and nothing else."""
        place = embedding_tap(self.model)
        if place is None:
            return False
        black = dry_images(self.model, self.input_size)
        images = torch.rand(black.shape, generator=torch.Generator().manual_seed(0)).to(black)
        _, features = tapped(self.model, [tap, place], logits=False).eval()(images)
        mean, embedding = pooled(lay_out(features[tap], self.input_size)), pooled(features[place])
        return mean.shape == embedding.shape and torch.allclose(mean, embedding, rtol=1e-2, atol=1e-4)

    def parts_up_to(self, tap: str) -> tuple[str, ...]:
        """Return the names of the layers needed to compute ``tap``, and of parameters used outside of layers."""
        reader = tapped(self.model, [tap], logits=False)
        layers = [name for name, module in reader.named_modules() if name and not module._modules]
        return (*layers, *(name for name, _ in reader.named_parameters() if not is_within(name, layers)))


def tap_points(model: nn.Module, input_size: tuple[int, int]) -> list[TapPoint]:
    """Return all points of the network that can be tapped, in order of execution.

    Args:
        model: Any network for images (B, 3, H, W).
        input_size: Size (H, W) of the images.

    Raises:
        TutelageError: If the network does not run on images of this size.

    Example:
        >>> from tutelage import create_model
        >>> from tutelage.taps import tap_points
        >>> [point.name for point in tap_points(create_model("resnet8"), (32, 32))][:3]
        ['conv1', 'bn1', 'relu']
    """
    return Probe(model, input_size).points


def find_levels(model: nn.Module, input_size: tuple[int, int]) -> list[TapPoint]:
    """Return the outputs of the network's levels (resolutions), shallow to deep.

    A level ends where the resolution changes. In a vision transformer, a level ends after every quarter of the blocks.

    Args:
        model: Any network for images (B, 3, H, W).
        input_size: Size (H, W) of the images.

    Raises:
        TutelageError: If the network does not run on images of this size.

    Example:
        >>> from tutelage import create_model
        >>> from tutelage.taps import find_levels
        >>> [(level.name, level.shape) for level in find_levels(create_model("resnet8"), (32, 32))]
        [('layer1', (16, 32, 32)), ('layer2', (32, 16, 16)), ('layer3', (64, 8, 8))]
    """
    return Probe(model, input_size).levels


def _observe(model: nn.Module, size: tuple[int, int]) -> tuple[list[Observation], dict[str, list[str]]]:
    images = dry_images(model, size)
    network = sharing_clone(model).eval()
    inplace = switch_off_inplace(network)
    devices = [images.device] if images.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        split_norm_activations(network)
        try:
            trace = trace_network(network, inplace)
        except Untraceable:
            network = sharing_clone(model).eval()
            switch_off_inplace(network)
            calls, repeated = name_calls(record_calls(network, images), set())
            return _from_calls(network, calls, images, size), repeated
        recorder = _Recorder(network, trace.graph)
        recorder.run(images)
        return _from_trace(network, trace, recorder.values, size), trace.repeated


class _Recorder(fx.Interpreter):
    """Interpreter that runs a graph and records each tensor on the meta device, without its data."""

    def __init__(self, network: nn.Module, graph: fx.Graph) -> None:
        super().__init__(network, graph=graph)
        self.values: dict[fx.Node, Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, Tensor):
            self.values[n] = value.detach().to("meta")
        return value


def _from_trace(network: nn.Module, trace: Trace, values: dict[fx.Node, Tensor], size: Size) -> list[Observation]:
    observations = []
    for point in trace.points:
        value = values.get(point.node)
        if value is not None and _is_feature(value):
            tap = TapPoint(
                point.name, _shape(value, size), point.operation, activation=_activation(network, point.node)
            )
            source = values.get(point.source) if point.source is not None else None
            from_image = point.source is not None and point.source.op == "placeholder"
            observations.append(_observation(network, tap, point.path, value, source, from_image, size))
    return observations


def _from_calls(network: nn.Module, calls: list[ModuleCall], images: Tensor, size: Size) -> list[Observation]:
    fed = {id(call.source) for call in calls if is_activation(type(network.get_submodule(call.path)).__name__)}
    made = {id(call.output) for call in calls if is_activation(type(network.get_submodule(call.path)).__name__)}
    observations = []
    for call in calls:
        if call.output is not None and _is_feature(call.output):
            key = id(call.output)
            activation = "after" if key in made else "before" if key in fed else ""
            operation = type(network.get_submodule(call.path)).__name__
            tap = TapPoint(call.name, _shape(call.output, size), operation, activation=activation)
            from_image = call.source is images
            observations.append(_observation(network, tap, call.path, call.output, call.source, from_image, size))
    return observations


def _observation(
    network: nn.Module,
    tap: TapPoint,
    path: str | None,
    value: Tensor,
    source: Tensor | None,
    from_image: bool,
    size: Size,
) -> Observation:
    container = path is not None and _is_container(network.get_submodule(path))
    source_shape = None if source is None else _shape(source, size)
    return Observation(tap, path, container, value.ndim == 3, from_image, source_shape)


def _is_container(module: nn.Module) -> bool:
    """Return whether a module is made of layers with weights; PyTorch's own modules (attention) count as one layer."""
    own_layer = type(module).__module__.startswith("torch.nn") and not isinstance(module, nn.Sequential)
    below = (weight for child in module.children() for weight in child.parameters())
    return not own_layer and any(weight.ndim >= 2 for weight in below)


def _is_feature(value: Tensor) -> bool:
    return value.is_floating_point() and value.ndim >= 2 and value.shape[0] == 1


def _shape(value: Tensor, size: Size) -> tuple[int, ...]:
    return tuple(lay_out(value, size).shape[1:])


def _activation(network: nn.Module, node: fx.Node) -> str:
    if is_activation(operation_of(network, node)):
        return "after"
    return "before" if feeds_activation(network, node, ("identity",)) else ""


def _number_levels(points: list[TapPoint], levels: Iterable[TapPoint]) -> list[TapPoint]:
    ends = {level.name: number for number, level in enumerate(levels)}
    numbered: list[TapPoint] = []
    current: int | None = None
    for point in reversed(points):
        current = ends.get(point.name, current)
        numbered.append(replace(point, level=current))
    return numbered[::-1]
