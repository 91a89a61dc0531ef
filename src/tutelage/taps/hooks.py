"""Read activations by hooks, for networks that torch.fx cannot trace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tutelage.errors import TutelageError
from tutelage.models import main_output
from tutelage.taps.sharing import freeze, sharing_clone, skeleton, switch_off_inplace
from tutelage.taps.tracing import name_calls, no_such_tap
from tutelage.taps.unregistered import set_unregistered


@dataclass(frozen=True)
class ModuleCall:
    """One call of a module: its number among the calls of ``path``, and its first input and output tensor."""

    name: str
    path: str
    number: int
    output: Tensor | None
    source: Tensor | None


class HookedNetwork(nn.Module):
    """Network that returns ``(logits, features)`` by hooks on a sharing clone; see ``tapped``.

    Hooks are registered for one forward pass at a time. Without logits, the pass ends as soon as all taps are read. The
    module holds the parameters that affect its outputs, found by differentiating one dry pass.
    """

    _network: nn.Module

    def __init__(
        self, model: nn.Module, taps: Sequence[str], logits: bool, frozen: tuple[str, ...], reason: str
    ) -> None:
        super().__init__()
        network = sharing_clone(model)
        switch_off_inplace(network)
        network.eval()
        images = dry_images(model, _usual_size(model))
        readings = _find_calls(record_calls(network, images), taps, reason)
        self.frozen_modules = frozen
        set_unregistered(self, "_network", network)
        self._readings = readings
        self._logits = logits
        unused = self._parameters_without_part(images)
        tensors = {name for name, _ in network.named_parameters(remove_duplicate=False)} - unused
        tensors |= {name for name, _ in network.named_buffers(remove_duplicate=False)}
        whole = {
            path
            for path, module in network.named_modules()
            if path and not module._modules and not any(f"{path}.{name}" in unused for name in module._parameters)
        }
        tree = skeleton(network, whole, tensors)
        for name in ("_modules", "_parameters", "_buffers", "_non_persistent_buffers_set"):
            setattr(self, name, getattr(tree, name))
        self.train(model.training)

    def forward(self, images: Tensor) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Return (logits or None, {tap: tensor}) for images (B, C, H, W)."""
        return self._read(lambda: self._network(images))

    def train(self, mode: bool = True) -> HookedNetwork:
        """Set the mode of the network; frozen modules stay in eval mode."""
        super().train(mode)
        self._network.train(mode)
        freeze(self._network, self.frozen_modules)
        return self

    def _read(self, run: Callable[[], Any]) -> tuple[Tensor | None, dict[str, Tensor]]:
        features: dict[str, Tensor] = {}
        taps = [tap for readings in self._readings.values() for tap in readings.values()]
        with ExitStack() as hooks:
            for path, readings in self._readings.items():
                stop = None if self._logits else len(taps)
                hooks.enter_context(_reading(self._network.get_submodule(path), readings, features, stop))
            try:
                logits = main_output(run(), (Tensor,))
            except _AllRead:
                logits = None
        return (logits if self._logits else None), {tap: features[tap] for tap in taps}

    def _parameters_without_part(self, images: Tensor) -> set[str]:
        network = self._network
        # Differentiating copies makes the result independent of which parameters currently require gradients.
        leaves = {name: value.detach().requires_grad_() for name, value in network.named_parameters()}
        with torch.enable_grad():
            logits, features = self._read(lambda: torch.func.functional_call(network, leaves, (images,)))
            outputs = [value for value in (logits, *features.values()) if value is not None and value.requires_grad]
            totals = [value.sum() for value in outputs]
        gradients = torch.autograd.grad(totals, list(leaves.values()), allow_unused=True)
        return {name for name, gradient in zip(leaves, gradients) if gradient is None}


def dry_images(model: nn.Module, size: tuple[int, int]) -> Tensor:
    """Return one black image (1, 3, H, W) on the device and in the precision of ``model``."""
    parameter = next((value for value in model.parameters() if value.is_floating_point()), torch.empty(0))
    return torch.zeros(1, 3, *size, device=parameter.device, dtype=parameter.dtype)


def dry_run(model: nn.Module, input_size: tuple[int, int]) -> Any:
    """Return the network's output in eval mode for one black image. The network does not change.

    Args:
        model: Any network for images (B, 3, H, W).
        input_size: Size (H, W) of the image.

    Returns:
        The output as the network returns it.

    Raises:
        TutelageError: If the network does not run on images of this size.

    Example:
        >>> from tutelage import create_model
        >>> from tutelage.taps import dry_run
        >>> dry_run(create_model("resnet8"), (32, 32)).shape
        torch.Size([1, 10])
    """
    images = dry_images(model, input_size)
    devices = [images.device] if images.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices), torch.no_grad():
            return sharing_clone(model).eval()(images)
    except (RuntimeError, AssertionError, ValueError, TypeError, IndexError) as error:
        size = "x".join(map(str, input_size))
        raise TutelageError(f"the network does not accept {size} images ({error}).") from error


def record_calls(network: nn.Module, images: Tensor) -> list[ModuleCall]:
    """Run the network once without gradients, and return the calls of its modules in the order in which they end."""
    calls: list[ModuleCall] = []
    counts: Counter[str] = Counter()
    handles = []
    for path, module in network.named_modules():
        if path:

            def record(module: nn.Module, args: Any, output: Any, path: str = path) -> None:
                calls.append(ModuleCall(path, path, counts[path], _tensor(output), _tensor(args)))
                counts[path] += 1

            handles.append(module.register_forward_hook(record))
    try:
        with torch.no_grad():
            network(images)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def _find_calls(calls: list[ModuleCall], taps: Sequence[str], reason: str) -> dict[str, dict[tuple[int, str], str]]:
    """Return the calls that the taps name, as {module path: {(number of the call, "in" or "out"): tap}}."""
    named, repeated = name_calls(calls, {call.path for call in calls})
    places = {call.name: (call, "out") for call in named if call.output is not None}
    places |= {f"{call.name}:in": (call, "in") for call in named if call.source is not None}
    readings: dict[str, dict[tuple[int, str], str]] = {}
    for tap in taps:
        if tap not in places:
            note = f" (only modules can be tapped, because torch.fx cannot trace this network: {reason})"
            raise no_such_tap(tap, list(places), repeated, note)
        call, side = places[tap]
        readings.setdefault(call.path, {})[call.number, side] = tap
    return readings


class _AllRead(Exception):
    """Raised to end a forward pass once all taps are read."""


@contextmanager
def _reading(
    module: nn.Module, readings: dict[tuple[int, str], str], features: dict[str, Tensor], stop: int | None
) -> Iterator[None]:
    """Read taps of a module inside the block, and raise _AllRead once there are ``stop`` features.

    The network continues with a copy, so that a later in-place operation does not change the feature.
    """
    calls = 0

    def keep(tap: str, value: Tensor) -> Tensor:
        features[tap] = value
        if len(features) == stop:
            raise _AllRead
        return value.clone()

    def before(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        tap = readings.get((calls, "in"))
        return None if tap is None else (keep(tap, args[0]), *args[1:])

    def after(_: nn.Module, args: Any, output: Any) -> Any:
        nonlocal calls
        tap = readings.get((calls, "out"))
        calls += 1
        if tap is None:
            return None
        copy = keep(tap, main_output(output, (Tensor,)))
        return copy if isinstance(output, Tensor) else None

    handles = (module.register_forward_pre_hook(before), module.register_forward_hook(after))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _tensor(value: Any) -> Tensor | None:
    if isinstance(value, (list, tuple)):
        value = next(iter(value), None)
    return value if isinstance(value, Tensor) else None


def _usual_size(model: nn.Module) -> tuple[int, int]:
    """Return the image size in the network's spec or timm config, 224x224 by default."""
    own = getattr(getattr(model, "spec", None), "input_size", None)
    timm_size = (getattr(model, "pretrained_cfg", None) or {}).get("input_size", (3, 224, 224))[1:]
    height, width = own or timm_size
    return height, width
