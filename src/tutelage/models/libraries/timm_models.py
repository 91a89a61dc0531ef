"""timm models, by name (``timm/NAME``) or from the Hugging Face hub (``hf-hub:USER/REPOSITORY``)."""

from __future__ import annotations

import re
from contextlib import nullcontext
from typing import Any

import timm
from timm.data import ImageNetInfo, infer_imagenet_subset, resolve_model_data_config
from torch import nn

from tutelage.errors import TutelageError, nearest
from tutelage.models.libraries.downloads import downloading, reachable_or_cached
from tutelage.models.spec import TIMM, ModelSpec, known_names

_CACHE = "HF_HOME, by default ~/.cache/huggingface"
#: Keys of timm's pretrained_cfg that stay valid when the weights are trained further.
_LASTING = ("architecture", "interpolation", "crop_pct", "crop_mode", "fixed_input_size", "first_conv", "classifier")


def build_timm(name: str, num_classes: int | None, pretrained: bool) -> tuple[nn.Module, ModelSpec]:
    """Build ``timm/NAME``; the head is new and random if ``num_classes`` differs from the pretrained weights.

    Raises:
        TutelageError: If timm has no such model, tag or weights, or they cannot be downloaded.
    """
    timm_name = name.removeprefix(TIMM)
    _check_name(name, timm_name, pretrained)
    with (
        downloading(name, _CACHE, "set weights=PATH to a weights file of this model"),
        reachable_or_cached() if pretrained else nullcontext(),
    ):
        model = timm.create_model(timm_name, pretrained=pretrained, num_classes=num_classes)
    return model, describe(name, model, pretrained)


def build_from_hub(name: str, num_classes: int | None) -> tuple[nn.Module, ModelSpec]:
    """Build ``hf-hub:USER/REPOSITORY``, a timm model with weights; the head is new if ``num_classes`` differs.

    Raises:
        TutelageError: If the repository does not exist, holds no timm model, or cannot be downloaded.
    """
    try:
        with (
            downloading(name, _CACHE, "download the repository and set the model to its folder"),
            reachable_or_cached(),
        ):
            model = timm.create_model(name, pretrained=True, num_classes=num_classes)
    except (KeyError, RuntimeError) as error:
        raise TutelageError(
            f"model '{name}': the repository does not hold a timm model ({error}); name one that does"
        ) from error
    return model, describe(name, model, pretrained=True)


def rebuild_timm(config: dict[str, Any], num_classes: int) -> nn.Module:
    """Build the model of a saved ``config.json`` with random weights.

    Raises:
        TutelageError: If this version of timm has no such architecture.
    """
    architecture = config["architecture"]
    _check_name(f"{TIMM}{architecture}", architecture, pretrained=False)
    arguments = {**config.get("model_args", {}), "num_classes": num_classes}
    described = config.get("pretrained_cfg", {})
    lasting = {key: described[key] for key in (*_LASTING, "input_size") if key in described}
    # timm expects tuples, which JSON does not have.
    lasting = {key: tuple(value) if isinstance(value, list) else value for key, value in lasting.items()}
    return timm.create_model(architecture, pretrained_cfg=lasting, **arguments)


def describe_timm(model: nn.Module) -> dict[str, Any]:
    """Return the ``config.json``, in timm's layout, from which timm can rebuild this model."""
    source: dict[str, Any] = model.pretrained_cfg  # type: ignore[assignment]
    arguments = {key: value for key, value in getattr(model, "_model_args", {}).items() if key != "num_classes"}
    lasting = {key: source[key] for key in _LASTING if source.get(key) is not None}
    description = {
        "architecture": lasting.pop("architecture"),
        "num_features": model.num_features,
        "pretrained_cfg": lasting,
    }
    return {**description, "model_args": arguments} if arguments else description


def _check_name(name: str, timm_name: str, pretrained: bool) -> None:
    architecture, _, tag = timm_name.partition(".")
    if not timm.is_model(architecture):
        close = nearest(architecture, timm.list_models())
        hint = f"did you mean {' or '.join(TIMM + other for other in close)}?" if close else "see timm.list_models()"
        raise TutelageError(f"unknown model '{name}': timm {timm.__version__} has no '{architecture}'; {hint}")
    tagged = timm.list_models(f"{architecture}.*", pretrained=True)
    if tag and timm_name not in tagged:
        close = nearest(timm_name, tagged) or tagged
        raise TutelageError(
            f"unknown model '{name}': '{architecture}' has no pretrained weights '{tag}'; "
            + (f"did you mean {' or '.join(TIMM + other for other in close)}?" if close else "remove the tag")
        )
    if pretrained and not tagged:
        raise TutelageError(
            f"model '{name}': timm has no pretrained weights for it; set weights=PATH to a weights file"
        )


def describe(name: str, model: nn.Module, pretrained: bool) -> ModelSpec:
    """Return the spec of a timm model; class names are only included if its weights are ``pretrained``."""
    preprocessing = resolve_model_data_config(model)
    return ModelSpec(
        name=name,
        num_classes=int(model.num_classes),  # type: ignore[arg-type]
        input_size=tuple(preprocessing["input_size"][1:]),
        mean=tuple(preprocessing["mean"]),
        std=tuple(preprocessing["std"]),
        crop=preprocessing["crop_pct"],
        classes=_class_names(model) if pretrained else None,
        source="pretrained" if pretrained else "random",
    )


def _class_names(model: nn.Module) -> tuple[str, ...] | None:
    """Return the class names stored with the weights, or the WordNet ids of an ImageNet head."""
    source: dict[str, Any] = model.pretrained_cfg  # type: ignore[assignment]
    if source["num_classes"] != model.num_classes:
        return None
    if source.get("label_names"):
        return known_names(source["label_names"])
    # timm recognizes ImageNet heads by their width alone; the tag of the weights confirms it.
    subset = infer_imagenet_subset(source) if re.search(r"in(1|12|21|22)k", source.get("tag") or "") else None
    return tuple(ImageNetInfo(subset).label_names()) if subset else None
