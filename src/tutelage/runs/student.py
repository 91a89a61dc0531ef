"""Load a trained network with its preprocessing, from a run folder or a model folder."""

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
from tutelage.models import ModelSpec, create_model, saved_folder, spec_of
from tutelage.paths import expand
from tutelage.runs.folder import RunFolder

Predict = Callable[[Tensor], Tensor]
"""A function that maps images (B, 3, H, W) to logits (B, K), both on the CPU."""


@dataclass(frozen=True, eq=False)
class Student:
    """A trained network and its preprocessing; both are in eval mode."""

    network: nn.Module
    """The network; it takes normalized images."""
    spec: ModelSpec
    normalization: Normalization
    """Normalizes images for the network, and resizes them if needed."""
    classes: tuple[str, ...]
    """Class names in the order of the logits; numbers if the model has no names."""
    size: tuple[int, int]
    """Input size (H, W) in pixels."""
    source: Path
    """The run folder or model folder that it was loaded from."""
    rendering: Rendering = PLAIN
    """How images are decoded: as in the run, if it comes from a run."""

    @property
    def classifier(self) -> nn.Sequential:
        """Normalization and network in one module: RGB images (B, 3, H, W), uint8 or in [0, 1] → logits (B, K)."""
        return nn.Sequential(self.normalization, self.network).eval()

    @property
    def crop(self) -> float:
        """Fraction of an image's shorter side that is evaluated; 1.0 if the model does not specify it."""
        return self.spec.crop or 1.0

    @property
    def framing(self) -> Framing:
        """How images of any size are fitted to the input size, as in evaluation."""
        return Framing(self.size, self.spec.resize, self.crop, self.rendering.background)

    @property
    def is_run(self) -> bool:
        """Whether it comes from a run folder, which records its data and results."""
        return RunFolder(self.source).is_run()


def load_student(path: str | Path) -> Student:
    """Load the student of a finished run, or the model of a model folder, with its preprocessing.

    Args:
        path: A run folder or a model folder.

    Returns:
        The network in eval mode, its normalization, class names and input size. ``student.classifier`` maps images
        to logits.

    Raises:
        TutelageError: If the run is not finished, the path is neither a run folder nor a model folder, or the model's
            ``config.json`` does not specify the normalization and size of its input.

    Example:
        >>> import torch, tutelage
        >>> from tutelage.models import ModelSpec, save_model
        >>> spec = ModelSpec("resnet8", 3, input_size=(32, 32), mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
        >>> save_model(tutelage.create_model("resnet8", num_classes=3), "student", spec)
        >>> student = tutelage.load_student("student")
        >>> student.size, student.classes
        ((32, 32), ('0', '1', '2'))
        >>> student.classifier(torch.rand(1, 3, 32, 32)).shape
        torch.Size([1, 3])
    """
    folder = expand(path)
    is_run = RunFolder(folder).is_run()
    if is_run and not RunFolder(folder).is_finished():
        raise TutelageError(f"{folder} is not finished; continue it with 'tutelage resume {folder}'")
    if saved_folder(folder) is None:
        what = "does not exist" if not folder.exists() else "is a file" if folder.is_file() else "holds no model"
        raise TutelageError(f"{folder} {what}; pass a run folder, or the folder of a saved model (config.json)")
    network = create_model(str(folder))
    spec = spec_of(network)
    if spec.mean is None or spec.std is None or spec.input_size is None:
        raise TutelageError(
            f"{spec.source}: config.json does not describe the model's input; add mean, std and input_size to "
            f"pretrained_cfg (for transformers models, to preprocessor_config.json)"
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
    """Return how the images of a run were decoded."""
    return load(DataSettings, read_yaml(run / "config.yaml")["data"]).rendering


class _ChannelsLast(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.contiguous(memory_format=torch.channels_last)


def in_channels_last(module: nn.Module) -> nn.Module:
    """Return a copy of a module that runs in channels_last, which is faster on a CPU."""
    return nn.Sequential(_ChannelsLast(), copy.deepcopy(module).to(memory_format=torch.channels_last)).eval()


def predictor(module: nn.Module) -> Predict:
    """Return a function that runs a copy of the module in channels_last, without gradients."""
    return torch.no_grad()(in_channels_last(module))
