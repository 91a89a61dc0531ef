"""Model folders: ``model.safetensors`` and a ``config.json`` in timm's layout, read back exactly."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from tutelage.errors import TutelageError
from tutelage.models.own import build_own
from tutelage.models.spec import ModelSpec
from tutelage.models.timm_models import HUB, TIMM, describe_timm, ordered_names, rebuild_timm
from tutelage.models.torchvision_models import TORCHVISION, rebuild_torchvision, torchvision_arguments
from tutelage.models.weights import load_weights

CONFIG = "config.json"
WEIGHTS = "model.safetensors"


def save_model(model: nn.Module, folder: str | Path, spec: ModelSpec) -> None:
    """Writes ``model`` so that ``create_model(folder)`` gives it back, bit for bit, with ``spec`` (but its source).

    ``folder`` is made where needed; files of the same names in it are replaced, each in one step, so that a reader
    never sees half a file. A timm model's folder can also be read by ``timm.create_model("local-dir:FOLDER",
    pretrained=True)``.

    Args:
        model: the plain model, as ``create_model`` built it.
        folder: will hold ``model.safetensors`` and ``config.json``.
        spec: ``spec.name`` must be the name of the model's architecture, as ``model.spec.name`` is.
    """
    folder = Path(folder).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    # safetensors takes neither tensors that share memory nor other memory formats.
    tensors = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }
    new_weights, new_config = folder / f".{WEIGHTS}.new", folder / f".{CONFIG}.new"
    safetensors.torch.save_file(tensors, new_weights, metadata={"format": "pt"})
    new_config.write_text(json.dumps(_config(model, spec), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(new_weights, folder / WEIGHTS)
    os.replace(new_config, folder / CONFIG)


def load_folder(folder: Path) -> tuple[nn.Module, ModelSpec]:
    """Builds the model saved in ``folder`` by ``save_model``, or by timm, with its weights.

    Raises:
        TutelageError: the files are missing or damaged, or the architecture is unknown here.
    """
    config = _read_config(folder / CONFIG)
    try:
        preprocessing = config["pretrained_cfg"]
        names = config.get("label_names") or preprocessing.get("label_names")
        size, mean, std = (preprocessing.get(key) for key in ("input_size", "mean", "std"))
        spec = ModelSpec(
            name=config["tutelage"]["name"] if "tutelage" in config else TIMM + config["architecture"],
            num_classes=config["num_classes"],
            input_size=(size[1], size[2]) if size else None,
            mean=tuple(mean) if mean else None,
            std=tuple(std) if std else None,
            crop=preprocessing.get("crop_pct"),
            classes=ordered_names(names) if names else None,
            source=str(folder),
        )
        model = _rebuild(config, spec)
    except (KeyError, TypeError) as error:
        raise TutelageError(f"'{folder / CONFIG}': not the config of a saved model ({error!r})") from error
    load_weights(model, folder / WEIGHTS)
    return model, spec


def _config(model: nn.Module, spec: ModelSpec) -> dict[str, Any]:
    if spec.name.startswith((TIMM, HUB)):
        config = describe_timm(model)
    else:
        config = {"architecture": spec.name, "pretrained_cfg": {}}
        if spec.name.startswith(TORCHVISION) and (arguments := torchvision_arguments(model)):
            config["model_args"] = arguments
    config["num_classes"] = config["pretrained_cfg"]["num_classes"] = spec.num_classes
    if spec.classes is not None:
        config["label_names"] = list(spec.classes)
    preprocessing = {
        "input_size": [3, *spec.input_size] if spec.input_size else None,
        "mean": list(spec.mean) if spec.mean else None,
        "std": list(spec.std) if spec.std else None,
        "crop_pct": spec.crop,
    }
    config["pretrained_cfg"].update({key: value for key, value in preprocessing.items() if value})
    config["tutelage"] = {"name": spec.name}
    return config


def _rebuild(config: dict[str, Any], spec: ModelSpec) -> nn.Module:
    if spec.name.startswith((TIMM, HUB)):
        return rebuild_timm(config, spec.num_classes)
    if spec.name.startswith(TORCHVISION):
        architecture = spec.name.removeprefix(TORCHVISION)
        return rebuild_torchvision(architecture, spec.num_classes, config.get("model_args", {}))
    return build_own(spec.name, spec.num_classes)


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TutelageError(f"'{path}': the config of a saved model cannot be read ({error})") from error
    if not isinstance(config, dict):
        raise TutelageError(f"'{path}': not the config of a saved model")
    return config
