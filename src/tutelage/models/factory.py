"""Create networks by name: tutelage's own, timm, torchvision, the Hugging Face hub, saved folders."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

from torch import nn

from tutelage.errors import TutelageError, nearest
from tutelage.models.given import build_given, is_given
from tutelage.models.own.catalogue import build_own, is_own
from tutelage.models.own.register import networks
from tutelage.models.spec import HUB, TIMM, TORCHVISION, ModelSpec
from tutelage.models.storage import CONFIG, load_folder, transformers_type
from tutelage.models.weights.fitting import find_weights
from tutelage.paths import expand

_OWN_CLASSES = 10
_WEIGHTS_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".tar")


def create_model(
    name: str, num_classes: int | None = None, weights: str | None = None, weights_key: str | None = None
) -> nn.Module:
    """Create a classifier by name.

    The model's attribute ``spec`` (``ModelSpec``) holds its name, classes and preprocessing.

    Args:
        name: One of tutelage's networks (``resnet20``, ``wrn_40_2``, …), ``timm/NAME``, ``torchvision/NAME``,
            ``hf-hub:USER/REPOSITORY``, a run folder or a model folder. Folders and hub models include weights. If a
            folder and a network have the same name, the folder is used.
        num_classes: Number of logits. None uses the saved number for folders and weights files, 10 for tutelage's
            networks, and the library's default for timm and torchvision (usually 1000). If it differs from the
            library's pretrained weights, the head is new and random.
        weights: None for random initialization, "pretrained" for the library's default weights, the name of a
            torchvision weights member ("IMAGENET1K_V2"), or the path of a weights file (see ``load_weights``).
        weights_key: State dict to use if the weights file contains several that fit ("model_ema", "teacher").

    Returns:
        The model, (B, 3, H, W) → (B, num_classes) logits.

    Raises:
        TutelageError: If the name or weights are unknown (similar names are suggested), weights cannot be downloaded or
            do not fit, or a saved folder has a different number of classes than ``num_classes``.

    Example:
        >>> import tutelage
        >>> model = tutelage.create_model("resnet8", num_classes=5)
        >>> model.spec.name, model.spec.num_classes
        ('resnet8', 5)
    """
    if num_classes is not None and num_classes < 1:
        raise TutelageError(f"model '{name}': num_classes must be at least 1, not {num_classes}")
    file = _weights_file(weights)
    if weights_key is not None and file is None:
        raise TutelageError(
            f"model '{name}': weights_key={weights_key} selects a state dict within a file; set weights=FILE too"
        )
    if weights is None and saved_folder(name) is not None:
        _warn_of_shadowed(name)
        model, spec = _from_path(name, num_classes)
    else:
        model, spec = _build(name, num_classes, None if file else weights)
    if file:
        found = find_weights(model, file, weights_key)
        theirs = found.head_width(model) if num_classes is None else None
        if theirs is not None:
            model, spec = _build(name, theirs, None)
        found.copy_to(model)
        names = found.class_names(spec.num_classes)
        took = () if names is None else (f"read {len(names)} class names",)
        spec = replace(spec, source=str(file), notes=(*found.notes, *took), classes=names)
    model.spec = spec  # type: ignore[assignment]
    return model


def list_models() -> list[str]:
    """Return the names that ``create_model`` accepts: tutelage's networks, then torchvision's, then timm's.

    Example:
        >>> import tutelage
        >>> "resnet20" in tutelage.list_models()
        True
    """
    import timm

    from tutelage.models.libraries.torchvision_models import torchvision_names

    return [
        *networks,
        *(TORCHVISION + name for name in torchvision_names()),
        *(TIMM + name for name in timm.list_models()),
    ]


def saved_folder(name: str | Path) -> Path | None:
    """Return the model folder that ``name`` stands for, in a run folder or by itself; None if there is none.

    Example:
        >>> from tutelage.models import create_model, saved_folder
        >>> print(saved_folder("resnet8"))
        None
    """
    path = expand(name)
    return next((place for place in (path / "student", path) if (place / CONFIG).is_file()), None)


def _warn_of_shadowed(name: str) -> None:
    """Warn if a folder has the name of a network, which cannot be created then."""
    if is_own(name) or name.startswith((TIMM, TORCHVISION)):
        warnings.warn(
            f"model '{name}' is read from the folder of this name in the working directory; to create a new "
            f"network, rename the folder or run the command elsewhere",
            stacklevel=3,
        )


def _weights_file(weights: str | None) -> Path | None:
    if weights is None or weights == "pretrained":
        return None
    path = expand(weights)
    return path if path.exists() or path.suffix in _WEIGHTS_SUFFIXES or len(path.parts) > 1 else None


def _build(name: str, num_classes: int | None, weights: str | None) -> tuple[nn.Module, ModelSpec]:
    # Other libraries take seconds to import, so they are imported only for their own networks.
    if name.startswith(TORCHVISION):
        from tutelage.models.libraries.torchvision_models import build_torchvision

        return build_torchvision(name, num_classes, weights)
    if weights not in (None, "pretrained"):
        raise TutelageError(
            f"model '{name}': unknown weights '{weights}'; use 'pretrained' or an existing file"
            + ("; timm names its weights with the model, as in timm/resnet18.a1_in1k" if name.startswith(TIMM) else "")
        )
    if name.startswith(TIMM):
        from tutelage.models.libraries.timm_models import build_timm

        return build_timm(name, num_classes, pretrained=weights == "pretrained")
    if name.startswith(HUB):
        from tutelage.models.libraries.timm_models import build_from_hub

        return build_from_hub(name, num_classes)
    if is_given(name):
        return build_given(name, num_classes)
    if is_own(name):
        if weights == "pretrained":
            raise TutelageError(f"model '{name}': it has no pretrained weights; set weights=PATH to a weights file")
        num_classes = _OWN_CLASSES if num_classes is None else num_classes
        network = build_own(name, num_classes)
        return network, ModelSpec(name, num_classes, getattr(network, "input_size", None))
    return _from_path(name, num_classes)


def _from_path(name: str, num_classes: int | None) -> tuple[nn.Module, ModelSpec]:
    path, folder = expand(name), saved_folder(name)
    if path.is_file():
        raise TutelageError(
            f"model '{name}': this is a file; set the architecture's name as the model and weights={name}"
        )
    if folder is None:
        raise _no_such_model(name, path)
    model, spec = _load(folder)
    if num_classes not in (None, spec.num_classes):
        raise TutelageError(
            f"model '{name}': it was saved with {spec.num_classes} classes, not {num_classes}; remove num_classes or "
            f"create a new '{spec.name}' with {num_classes} classes"
        )
    return model, spec


def _load(folder: Path) -> tuple[nn.Module, ModelSpec]:
    if transformers_type(folder) is None:
        return load_folder(folder)
    from tutelage.models.libraries.transformers_models import load_transformers

    return load_transformers(folder)


def _no_such_model(name: str, path: Path) -> TutelageError:
    if path.is_dir():
        return TutelageError(
            f"model '{name}': the folder holds neither a run (student/{CONFIG}) nor a saved model ({CONFIG}); check "
            f"the path"
        )
    full_names: dict[str, list[str]] = {}
    for full in list_models():
        full_names.setdefault(full.split("/")[-1], []).append(full)
    bare = path.name
    close = [
        full for match in ([bare] if bare in full_names else nearest(bare, full_names)) for full in full_names[match]
    ]
    hint = f"did you mean {' or '.join(close)}?" if close else f"tutelage's networks: {', '.join(networks)}"
    if len(path.parts) > 1 or name.startswith(("~", ".")):
        return TutelageError(f"model '{name}': there is no such folder; {hint if close else 'check the path'}")
    return TutelageError(
        f"unknown model '{name}': {hint} (also: timm/NAME, torchvision/NAME, hf-hub:USER/REPOSITORY, a folder)"
    )
