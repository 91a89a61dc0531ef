"""``Teacher``, a frozen network that is read through taps and never saved with the student."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn as nn
from torch import Tensor

from tutelage.distillation.base import BaseTeacher
from tutelage.distillation.reading import modules_at, places_of, read_batch, read_taps
from tutelage.distillation.sharding import shard_layers, shard_rest
from tutelage.models import ModelSpec, main_output, parameter_count, weights_hash
from tutelage.taps import embedding_tap, folded, pooled, tapped, with_batch_statistics
from tutelage.terms import LOGITS, ComputedTap

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh


class Teacher(BaseTeacher):
    """A frozen network with its own normalization; training never changes its parameters or buffers.

    Images are cast to the precision of its weights. If the network returns a tuple, a list or a dictionary, its main
    output is used: the output named ``logits``, or else the first one.

    Args:
        network: The network; it is put in eval mode and its parameters stop requiring gradients.
        normalization: Applied to the images before the network (mean, standard deviation and input size); by default
            images are passed unchanged.

    Example:
        >>> from tutelage import create_model
        >>> teacher = Teacher(create_model("resnet8", 5))
        >>> teacher(torch.rand(4, 3, 16, 16)).shape
        torch.Size([4, 5])
        >>> teacher.read(["layer2"], logits=False)
        >>> teacher.features(torch.rand(4, 3, 16, 16))["layer2"].shape
        torch.Size([4, 32, 8, 8])
    """

    def __init__(self, network: nn.Module, normalization: nn.Module | None = None) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.normalization = normalization if normalization is not None else nn.Identity()
        self._reader: nn.Module = network
        self._places: dict[str, str] = {}
        self._computed: Sequence[ComputedTap] = ()
        self._copied = False
        self.eval()

    @property
    def members(self) -> list[Teacher]:
        """This teacher alone."""
        return [self]

    @property
    def input_size(self) -> tuple[int, int] | None:
        """(H, W) that the images are resized to for this network; None if they keep their size."""
        return getattr(self.normalization, "size", None)

    def read(
        self,
        taps: Sequence[str],
        logits: bool,
        mode: Literal["eval", "batch"] = "eval",
        computed: Sequence[ComputedTap] = (),
    ) -> None:
        """Set which activations :meth:`features` returns; see :meth:`BaseTeacher.read`."""
        self._places = places_of(self.network, taps)
        logits = logits or LOGITS in self._places.values()
        modules = modules_at(self._places)
        if mode == "batch":
            reader = tapped(with_batch_statistics(self.network), modules, logits=logits, frozen=("",)).eval()
        else:
            reader = folded(self.network, modules, logits=logits)
        self._reader = reader.requires_grad_(False)
        self._computed = computed
        self._copied = False

    def compile_reader(self, graphs: bool = False) -> None:
        """Compile the layers that :meth:`features` runs, at its next call; weights become constants of the code.

        Args:
            graphs: Whether to launch kernels as a CUDA graph.
        """
        compile_frozen(self._reader, graphs)
        # The next graph may overwrite the outputs of this one.
        self._copied = graphs

    def shard(self, mesh: DeviceMesh | None, smallest: int) -> None:
        """Shard the weights that :meth:`features` uses over the processes; see ``Distiller.shard``."""
        shard_layers(self._reader, mesh, smallest)
        # Folded layers are copies; the original layers no longer run.
        shard_rest(self.network, mesh, smallest)

    @torch.no_grad()
    def features(self, images: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Return the detached activations chosen by :meth:`read`, by tap; see :meth:`BaseTeacher.features`."""
        return read_batch(self._read, images, labels, self._computed)

    def _read(self, images: Tensor) -> dict[str, Tensor]:
        features = read_taps(self._reader, self._normalized(images), self._places)
        return {tap: feature.clone() for tap, feature in features.items()} if self._copied else features

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, (B, K), of the network's main output."""
        logits: Tensor = main_output(self.network(self._normalized(images)), (Tensor,))
        return logits

    def classifier(self) -> Callable[[Tensor], Tensor]:
        """Return a function that computes the same logits as a call, but faster: batch normalizations are folded."""
        reader = folded(self.network, (), logits=True)
        return lambda images: reader(self._normalized(images))[0]

    def _normalized(self, images: Tensor) -> Tensor:
        """Return the network's input in the precision of its weights, which half-precision networks require."""
        weight = next((value for value in self.network.parameters() if value.is_floating_point()), images)
        normalized: Tensor = self.normalization(images)
        return normalized.to(weight.dtype)

    @property
    def headless(self) -> bool:
        """Whether the network has no classifier, so that its output is its pooled features."""
        return self._spec is not None and self._spec.num_classes == 0

    def embedder(self) -> Callable[[Tensor], Tensor]:
        """Return a function that maps images to pooled features (B, D): the classifier's input, or else the output."""
        tap = None if self.headless else embedding_tap(self.network)
        if tap is None:
            return self
        reader = folded(self.network, (tap,), logits=False)
        return lambda images: pooled(reader(self._normalized(images))[1][tap])

    @property
    def name(self) -> str:
        """The name that the network was created with, or its class name if it was built by hand."""
        return self._spec.name if self._spec is not None else type(self.network).__name__

    @property
    def source(self) -> str | None:
        """The origin of the weights, as recorded at creation; None for a network built by hand."""
        return self._spec.source if self._spec is not None else None

    @property
    def _spec(self) -> ModelSpec | None:
        spec = getattr(self.network, "spec", None)
        return spec if isinstance(spec, ModelSpec) else None

    def identity(self) -> dict[str, object]:
        """Return the entry for a run's records: name, source, classes, parameters and a hash of the weights."""
        spec = self._spec
        return {
            "name": self.name,
            "source": self.source,
            "notes": list(spec.notes) if spec is not None else [],
            "num_classes": spec.num_classes if spec is not None else None,
            "parameters": parameter_count(self.network),
            "weights_sha256": weights_hash(self.network),
        }


def compile_frozen(reader: nn.Module, graphs: bool = False) -> None:
    """Compile a network that is never trained, at its next call; weights become constants of the compiled code.

    Args:
        reader: The network.
        graphs: Whether to launch kernels as a CUDA graph.
    """
    reader.compile(options={"triton.cudagraphs": graphs, "freezing": True})
