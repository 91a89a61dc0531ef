"""The teacher: frozen, its buffers untouched for good, read through taps and never saved with the student."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn as nn
from torch import Tensor

from tutelage.distillation.gradients import differentiable, image_gradient, twice_differentiable
from tutelage.distillation.sharding import shard_layers, shard_rest
from tutelage.models import ModelSpec, find_heads, main_output, parameter_count, weights_hash
from tutelage.taps import folded, laid_out, tapped, with_batch_statistics
from tutelage.terms import IMAGE_GRADIENT, LOGITS

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh


class Teacher(nn.Module):
    """A frozen network with its own normalisation; no step of training ever changes a parameter or buffer of it.

    Its images are cast to the precision of its weights. Of a network that returns a tuple, a list or a dictionary the
    main output counts: what is called ``logits``, else the first entry.

    Args:
        network: the network; it is put in eval mode and its parameters stop requiring gradients.
        normalization: applied to the images before the network (its own mean, deviation and input size); images go in
            unchanged where there is none.
    """

    def __init__(self, network: nn.Module, normalization: nn.Module | None = None) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.normalization = normalization if normalization is not None else nn.Identity()
        self._reader: nn.Module = network
        self._reads_gradient = False
        self._copied = False
        self.eval()

    @property
    def input_size(self) -> tuple[int, int] | None:
        """(H, W) that the images are resized to for this network; None where they come as they are."""
        return getattr(self.normalization, "size", None)

    def train(self, mode: bool = True) -> Teacher:
        """Stays in eval mode, whoever asks: batch statistics must not move while a student is trained."""
        return super().train(False)

    @property
    def members(self) -> list[Teacher]:
        """The networks it consists of: itself."""
        return [self]

    def read(
        self,
        taps: Sequence[str],
        logits: bool,
        mode: Literal["eval", "batch"] = "eval",
        image_gradient: bool = False,
    ) -> None:
        """Sets what :meth:`features` returns; the network then runs no deeper than the deepest of it.

        Its weights are read at this moment. In mode ``eval`` batch normalisations are folded into the convolutions
        before them. In mode ``batch`` they use each batch's own statistics, and touch no buffer.
        """
        if mode == "batch":
            reader = tapped(with_batch_statistics(self.network), taps, logits=logits, frozen=("",)).eval()
        else:
            reader = folded(self.network, taps, logits=logits)
        self._reader = reader.requires_grad_(False)
        self._reads_gradient = image_gradient
        self._copied = False

    def compile_reader(self, graphs: bool = False) -> None:
        """Compiles what :meth:`features` runs, at its next call; weights become constants of the compiled code.

        ``graphs``: its kernels are launched together, as a CUDA graph.
        """
        compile_frozen(self._reader, graphs)
        # What a graph gives lies where the next graph to run may write.
        self._copied = graphs

    def shard(self, mesh: DeviceMesh | None, smallest: int) -> None:
        """Spreads the weights over the processes, for what :meth:`features` runs; see ``Distiller.shard``."""
        shard_layers(self._reader, mesh, smallest)
        # Folded layers are copies of the network's own, which nobody runs any more.
        shard_rest(self.network, mesh, smallest)

    def features(self, images: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Returns {tap: activation}, with what else :meth:`read` asked for under its reserved name.

        ``labels`` (B,) are needed for the gradient with respect to the image alone.
        """
        if not self._reads_gradient:
            with torch.no_grad():
                return self._read(images)
        assert labels is not None
        with twice_differentiable(images.device.type):
            images = differentiable(images)
            features = self._read(images)
            gradient = image_gradient(features[LOGITS], labels, images, create_graph=False)
        detached = {tap: feature.detach() for tap, feature in features.items()}
        return {**detached, IMAGE_GRADIENT: gradient}

    def _read(self, images: Tensor) -> dict[str, Tensor]:
        images = self._normalized(images)
        logits, features = self._reader(images)
        read = laid_out(features, images.shape[2:])
        if logits is not None:
            read[LOGITS] = logits
        return {tap: feature.clone() for tap, feature in read.items()} if self._copied else read

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Returns the logits, (B, K): the main ones of a network that gives several outputs."""
        logits: Tensor = main_output(self.network(self._normalized(images)), (Tensor,))
        return logits

    def classifier(self) -> Callable[[Tensor], Tensor]:
        """Return a function that gives the logits as in eval mode, faster: batch normalizations are folded."""
        reader = folded(self.network, (), logits=True)
        return lambda images: reader(self._normalized(images))[0]

    def _normalized(self, images: Tensor) -> Tensor:
        """What the network is given: in its own precision, for one in half of it takes no other images."""
        weight = next((value for value in self.network.parameters() if value.is_floating_point()), images)
        normalized: Tensor = self.normalization(images)
        return normalized.to(weight.dtype)

    @property
    def headless(self) -> bool:
        """Whether the network has no classifier: its output is then its pooled features."""
        return self._spec is not None and self._spec.num_classes == 0

    def embedder(self) -> Callable[[Tensor], Tensor]:
        """Returns what gives pooled features of images, (B, D): what the classifier reads; the output without one."""
        heads = [] if self.headless else find_heads(self.network)
        if not heads:
            return self
        tap = f"{heads[0]}:in"
        reader = folded(self.network, (tap,), logits=False)

        def embed(images: Tensor) -> Tensor:
            feature: Tensor = reader(self._normalized(images))[1][tap]
            return feature.flatten(2).mean(2) if feature.ndim == 4 else feature

        return embed

    @property
    def name(self) -> str:
        """The network's name as it was created, or its class where it was built by hand."""
        return self._spec.name if self._spec is not None else type(self.network).__name__

    @property
    def source(self) -> str | None:
        """Where the weights come from, as its creation recorded it; None for a network built by hand."""
        return self._spec.source if self._spec is not None else None

    @property
    def _spec(self) -> ModelSpec | None:
        spec = getattr(self.network, "spec", None)
        return spec if isinstance(spec, ModelSpec) else None

    def identity(self) -> dict[str, object]:
        """Returns what a run records of its teacher: name, source, classes, parameters and a hash of the weights."""
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
    """Compiles a network that is never trained, at its next call: its weights become constants of the compiled code."""
    reader.compile(options={"triton.cudagraphs": graphs, "freezing": True})
