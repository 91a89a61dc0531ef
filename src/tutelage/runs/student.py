"""The student of a run, or a saved model, with all that a prediction needs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from tutelage.config import load, read_yaml
from tutelage.data import PLAIN, DataSettings, Normalization, Rendering
from tutelage.data.stored import Framing
from tutelage.errors import TutelageError
from tutelage.models import ModelSpec, create_model, spec_of
from tutelage.paths import expand
from tutelage.runs.folder import RunFolder

Predict = Callable[[Tensor], Tensor]
"""Images (B, 3, H, W) → logits (B, K), both on the CPU."""


@dataclass(frozen=True, eq=False)
class Student:
    """A trained network and its preprocessing; both are in eval mode."""

    network: nn.Module
    """Takes normalised images, as it was trained."""
    spec: ModelSpec
    normalization: Normalization
    """Makes of un-normalised images what the network takes, resized where they are not of its size."""
    classes: tuple[str, ...]
    """In the order of the logits; numbers where the model has no names."""
    size: tuple[int, int]
    """(H, W) of the images."""
    source: Path
    """The run folder or model folder it was read from."""
    rendering: Rendering = PLAIN
    """How its images are decoded; that of the run's data, if it comes from a run."""

    @property
    def classifier(self) -> nn.Sequential:
        """Normalisation and network in one: (B, 3, H, W) RGB, uint8 or floats in [0, 1] → logits (B, K)."""
        return nn.Sequential(self.normalization, self.network).eval()

    @property
    def crop(self) -> float:
        """Part of an image's shorter side that the network is shown; all of it where the model does not say."""
        return self.spec.crop or 1.0

    @property
    def framing(self) -> Framing:
        """How an image of any size is fitted, as in evaluation."""
        return Framing(self.size, self.spec.resize, self.crop, self.rendering.background)

    @property
    def is_run(self) -> bool:
        """Whether it comes from a run, which knows its data and its figures."""
        return RunFolder(self.source).is_run()


def load_student(path: str | Path) -> Student:
    """Loads the plain student of a run folder, or the model of a model folder.

    Raises :class:`TutelageError` for a run that is not finished, for a path that is neither, and for a model that does
    not say how its input is to be normalised.
    """
    folder = expand(path)
    is_run = RunFolder(folder).is_run()
    if is_run and not RunFolder(folder).is_finished():
        raise TutelageError(f"{folder} is not finished: continue it with 'tutelage resume {folder}'")
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise TutelageError(f"{folder} {what}: give a run folder, or the folder of a saved model (config.json)")
    network = create_model(str(folder))
    spec = spec_of(network)
    if spec.mean is None or spec.std is None or spec.input_size is None:
        raise TutelageError(
            f"{spec.source}: its config.json does not say which images the model takes: mean, std and input_size must "
            f"be in pretrained_cfg (of a model of transformers, in preprocessor_config.json)"
        )
    return Student(
        network=network.eval(),
        spec=spec,
        normalization=Normalization(spec.mean, spec.std, spec.input_size).eval(),
        classes=spec.classes or tuple(map(str, range(spec.num_classes))),
        size=spec.input_size,
        source=folder,
        rendering=_rendering(folder) if is_run else PLAIN,
    )


def _rendering(run: Path) -> Rendering:
    """Return how the images of a run were decoded, whatever else its settings say."""
    return load(DataSettings, read_yaml(run / "config.yaml")["data"]).rendering


class _ChannelsLast(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.contiguous(memory_format=torch.channels_last)


def in_channels_last(module: nn.Module) -> nn.Module:
    """Returns a copy of a module of images that runs in channels_last, which is faster on a CPU."""
    return nn.Sequential(_ChannelsLast(), copy.deepcopy(module).to(memory_format=torch.channels_last)).eval()


def predictor(module: nn.Module) -> Predict:
    """Returns the way through a module in PyTorch on the CPU: a copy in channels_last, without gradients."""
    return torch.no_grad()(in_channels_last(module))
