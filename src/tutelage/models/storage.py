"""Model folders: ``model.safetensors`` and a ``config.json`` in timm's layout."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Annotated, Any

import safetensors.torch
import torch
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from torch import nn

from tutelage.errors import TutelageError, shortened
from tutelage.models.extension import Extension, extended, extension_of
from tutelage.models.given import build_given, is_given
from tutelage.models.heads import replace_head
from tutelage.models.own.catalogue import build_own
from tutelage.models.spec import HUB, TIMM, TORCHVISION, TRANSFORMERS, ModelSpec, Resize, known_names
from tutelage.models.weights.fitting import load_weights
from tutelage.paths import expand

CONFIG = "config.json"
WEIGHTS = "model.safetensors"

CROP_MODES: dict[Resize, str] = {"crop": "center", "squash": "squash", "pad": "border"}
"""timm's names for the ways to fit an image of another shape."""
_RESIZE = {mode: resize for resize, mode in CROP_MODES.items()}

#: Arguments of timm that locate weights and do not describe the network.
_ELSEWHERE = {"checkpoint_path", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"}
_Side = Annotated[int, Field(ge=1, le=2**14)]
_Positive = Annotated[float, Field(gt=0)]


def save_model(model: nn.Module, folder: str | Path, spec: ModelSpec) -> None:
    """Write a model folder from which ``create_model(folder)`` restores the model bit for bit.

    The folder is created if needed. Existing files of the same names are replaced atomically, so a reader never sees a
    partial file. The folder of a timm model can also be read with ``timm.create_model("local-dir:FOLDER",
    pretrained=True)``, unless a method extended the model (``extended``).

    Args:
        model: The plain model, as ``create_model`` built it.
        folder: Folder for ``model.safetensors`` and ``config.json``.
        spec: Spec to store. ``spec.name`` must be the name of the model's architecture, as in ``model.spec.name``. Its
            ``source`` is not stored.

    Raises:
        TutelageError: If a model folder cannot hold this network.

    Example:
        >>> from tutelage.models import create_model, save_model
        >>> model = create_model("resnet8")
        >>> save_model(model, "saved", model.spec)
        >>> create_model("saved").spec.name
        'resnet8'
    """
    check_storable(spec)
    folder = expand(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # safetensors accepts neither tensors that share memory nor other memory formats.
    tensors = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }
    new_weights, new_config = folder / f".{WEIGHTS}.new", folder / f".{CONFIG}.new"
    try:
        # safetensors would raise its own exception for a full disk; writing the bytes raises an OSError.
        new_weights.write_bytes(safetensors.torch.save(tensors, metadata={"format": "pt"}))
        new_config.write_text(json.dumps(_config(model, spec), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(new_weights, folder / WEIGHTS)
        os.replace(new_config, folder / CONFIG)
    finally:
        new_weights.unlink(missing_ok=True)
        new_config.unlink(missing_ok=True)


def load_folder(folder: Path) -> tuple[nn.Module, ModelSpec]:
    """Build the model that ``save_model``, timm, or transformers' timm wrapper saved in ``folder``.

    Raises:
        TutelageError: If files are missing or damaged, or the architecture is unknown.
    """
    path = folder / CONFIG
    config = _read_config(path)
    seen = config.pretrained_cfg
    spec = ModelSpec(
        name=config.tutelage.name if config.tutelage is not None else TIMM + config.architecture,
        num_classes=config.num_classes,
        input_size=seen.input_size[1:] if seen.input_size else None,
        mean=seen.mean,
        std=seen.std,
        crop=seen.crop_pct,
        resize=_RESIZE.get(seen.crop_mode, "crop"),
        classes=known_names(config.label_names or seen.label_names),
        source=str(folder),
    )
    try:
        model = _rebuild(config.model_dump(exclude_unset=True), spec)
        if config.tutelage is not None and config.tutelage.extension is not None:
            model.spec = spec  # type: ignore[assignment]
            model = extended(model, config.tutelage.extension)
    except TutelageError:
        raise
    except Exception as error:  # arguments of unknown origin can make a network's code fail in any way
        raise TutelageError(
            f"'{path}': the network cannot be built ({shortened(error)}); check the architecture and its arguments"
        ) from error
    load_weights(model, folder / WEIGHTS)
    return model, spec


def transformers_type(folder: Path) -> str | None:
    """Return the ``model_type`` of a folder in the layout of transformers.

    None for timm's layout, including transformers' timm wrapper, and for an unreadable config.
    """
    try:
        kind = _Kind.model_validate_json((folder / CONFIG).read_bytes()).model_type
    except (OSError, ValidationError):
        return None
    return None if kind == "timm_wrapper" else kind


def check_storable(spec: ModelSpec) -> None:
    """Raise TutelageError for a network that a model folder cannot hold, before it is trained.

    Example:
        >>> from tutelage.models import check_storable, create_model
        >>> check_storable(create_model("resnet8").spec)
    """
    if spec.name.startswith(TRANSFORMERS):
        raise TutelageError(
            f"'{spec.source}' was saved by transformers: tutelage can use it as a teacher, but cannot train or save "
            f"it. Use the corresponding timm network, or fine-tune it with transformers first"
        )


def _config(model: nn.Module, spec: ModelSpec) -> dict[str, Any]:
    config = _architecture(model, spec.name)
    config["num_classes"] = config["pretrained_cfg"]["num_classes"] = spec.num_classes
    if spec.classes is not None:
        config["label_names"] = list(spec.classes)
    preprocessing = {
        "input_size": [3, *spec.input_size] if spec.input_size else None,
        "mean": list(spec.mean) if spec.mean else None,
        "std": list(spec.std) if spec.std else None,
        "crop_pct": spec.crop,
        "crop_mode": CROP_MODES[spec.resize] if spec.crop else None,
    }
    config["pretrained_cfg"].update({key: value for key, value in preprocessing.items() if value})
    config["tutelage"] = {"name": spec.name}
    extension = extension_of(model)
    if extension is not None:
        config["tutelage"]["extension"] = extension.model_dump(mode="json")
    return config


def _architecture(model: nn.Module, name: str) -> dict[str, Any]:
    if name.startswith((TIMM, HUB)):
        from tutelage.models.libraries.timm_models import describe_timm

        return describe_timm(model)
    config: dict[str, Any] = {"architecture": name, "pretrained_cfg": {}}
    if name.startswith(TORCHVISION):
        from tutelage.models.libraries.torchvision_models import torchvision_arguments

        if arguments := torchvision_arguments(model):
            config["model_args"] = arguments
    return config


def _rebuild(config: dict[str, Any], spec: ModelSpec) -> nn.Module:
    if spec.name.startswith((TIMM, HUB)):
        from tutelage.models.libraries.timm_models import rebuild_timm

        return rebuild_timm(config, spec.num_classes)
    if spec.name.startswith(TORCHVISION):
        from tutelage.models.libraries.torchvision_models import rebuild_torchvision

        architecture = spec.name.removeprefix(TORCHVISION)
        return rebuild_torchvision(architecture, spec.num_classes, config.get("model_args", {}))
    if is_given(spec.name):
        return _copy_of_given(spec)
    return build_own(spec.name, spec.num_classes)


def _copy_of_given(spec: ModelSpec) -> nn.Module:
    """Return a copy of the user's network with the saved number of classes; the original keeps its weights."""
    network, own = build_given(spec.name, spec.num_classes)
    network = copy.deepcopy(network)
    network.spec = own  # type: ignore[assignment]
    if own.num_classes != spec.num_classes:
        replace_head(network, spec.num_classes)
    return network


class _Preprocessing(BaseModel):
    """timm's description of the preprocessing; unknown keys are passed on to timm."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    input_size: tuple[_Side, _Side, _Side] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[_Positive, ...] | None = None
    crop_pct: _Positive | None = None
    crop_mode: str = "center"
    label_names: list[str] | dict[int, str] | None = None


class _Kind(BaseModel):
    model_type: str | None = None


class _Named(BaseModel):
    name: str
    extension: Extension | None = None


class _Config(BaseModel):
    """Content of a ``config.json`` of unknown origin."""

    model_config = ConfigDict(extra="allow")

    architecture: str
    num_classes: int = Field(ge=0, le=10_000_000)
    pretrained_cfg: _Preprocessing = _Preprocessing()
    label_names: list[str] | dict[int, str] | None = None
    # transformers' timm wrapper writes null.
    model_args: Annotated[dict[str, Any], BeforeValidator(lambda value: {} if value is None else value)] = {}
    tutelage: _Named | None = None

    @model_validator(mode="after")
    def _agrees(self) -> _Config:
        names = self.label_names or self.pretrained_cfg.label_names
        if names and len(names) != self.num_classes:
            raise ValueError(f"it names {len(names)} classes, but num_classes is {self.num_classes}")
        elsewhere = sorted(_ELSEWHERE & self.model_args.keys())
        if elsewhere:
            raise ValueError(f"model_args.{elsewhere[0]} would load other weights; remove it")
        return self


def _read_config(path: Path) -> _Config:
    try:
        return _Config.model_validate_json(path.read_bytes())
    except OSError as error:
        raise TutelageError(f"'{path}': cannot read the config of a saved model ({error}); check the folder") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        raise TutelageError(f"'{path}': not the config of a saved model ({place}{': ' * bool(place)}{said})") from None
