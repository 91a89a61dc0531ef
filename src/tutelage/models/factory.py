"""Models by name: this package's networks, timm, torchvision, the Hugging Face hub, saved folders."""

from __future__ import annotations

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
    """Builds a classifier; what is known of it is in its attribute ``spec`` (``ModelSpec``).

    Args:
        name: a network of this package (``resnet20``, ``wrn_40_2``, …), ``timm/NAME``, ``torchvision/NAME``,
            ``hf-hub:USER/REPOSITORY``, a run folder, or a model folder (both come with their weights, as the hub does).
        num_classes: width of the logits; None: what was saved for folders and weights files, else 10 for this
            package's networks, 1000 for those of timm and torchvision as a rule. Where it is not that of the library's
            pretrained weights, the head is new and random.
        weights: None: random initialisation; "pretrained": the library's default weights; the name of a member of
            torchvision's weights ("IMAGENET1K_V2"); or the path of a weights file (see ``load_weights``).
        weights_key: which state dict of the weights file, if it has several that fit ("model_ema", "teacher").

    Raises:
        TutelageError: an unknown name (with the nearest right ones) or weights; weights that cannot be downloaded, or
            do not fit; a saved folder with another number of classes than ``num_classes``.
    """
    if num_classes is not None and num_classes < 1:
        raise TutelageError(f"model '{name}': num_classes must be at least 1, not {num_classes}")
    file = _weights_file(weights)
    if weights_key is not None and file is None:
        raise TutelageError(f"model '{name}': weights_key={weights_key} chooses within a file: set weights=FILE too")
    model, spec = _build(name, num_classes, None if file else weights)
    if file:
        found = find_weights(model, file, weights_key)
        theirs = found.head_width(model) if num_classes is None else None
        if theirs is not None:
            model, spec = _build(name, theirs, None)
        found.copy_to(model)
        names = found.class_names(spec.num_classes)
        took = () if names is None else (f"took the names of its {len(names)} classes",)
        spec = replace(spec, source=str(file), notes=(*found.notes, *took), classes=names)
    model.spec = spec  # type: ignore[assignment]
    return model


def list_models() -> list[str]:
    """Returns the names ``create_model`` knows: this package's networks, then torchvision's, then timm's."""
    import timm

    from tutelage.models.libraries.torchvision_models import torchvision_names

    return [
        *networks,
        *(TORCHVISION + name for name in torchvision_names()),
        *(TIMM + name for name in timm.list_models()),
    ]


def _weights_file(weights: str | None) -> Path | None:
    if weights is None or weights == "pretrained":
        return None
    path = expand(weights)
    return path if path.exists() or path.suffix in _WEIGHTS_SUFFIXES or len(path.parts) > 1 else None


def _build(name: str, num_classes: int | None, weights: str | None) -> tuple[nn.Module, ModelSpec]:
    # Other libraries take seconds to import: only where one of their networks is wanted.
    if name.startswith(TORCHVISION):
        from tutelage.models.libraries.torchvision_models import build_torchvision

        return build_torchvision(name, num_classes, weights)
    if weights not in (None, "pretrained"):
        raise TutelageError(
            f"model '{name}': unknown weights '{weights}': neither 'pretrained' nor an existing file"
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
            raise TutelageError(f"model '{name}': there are no pretrained weights for it; give weights=PATH of a file")
        num_classes = _OWN_CLASSES if num_classes is None else num_classes
        network = build_own(name, num_classes)
        return network, ModelSpec(name, num_classes, getattr(network, "input_size", None))
    return _from_path(name, num_classes)


def _from_path(name: str, num_classes: int | None) -> tuple[nn.Module, ModelSpec]:
    path = expand(name)
    if path.is_file():
        raise TutelageError(
            f"model '{name}': this is a file; give the architecture's name as the model, weights={name}"
        )
    folder = next((place for place in (path / "student", path) if (place / CONFIG).is_file()), None)
    if folder is None:
        raise _no_such_model(name, path)
    model, spec = _load(folder)
    if num_classes not in (None, spec.num_classes):
        raise TutelageError(
            f"model '{name}': it was saved with {spec.num_classes} classes, not {num_classes}; leave num_classes out, "
            f"or build a new '{spec.name}' with {num_classes}"
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
            f"model '{name}': the folder holds neither a run (student/{CONFIG}) nor a saved model ({CONFIG})"
        )
    full_names: dict[str, list[str]] = {}
    for full in list_models():
        full_names.setdefault(full.split("/")[-1], []).append(full)
    bare = path.name
    close = [
        full for match in ([bare] if bare in full_names else nearest(bare, full_names)) for full in full_names[match]
    ]
    hint = f"did you mean {' or '.join(close)}?" if close else f"this package's own: {', '.join(networks)}"
    if len(path.parts) > 1 or name.startswith(("~", ".")):
        return TutelageError(f"model '{name}': there is no such folder" + (f"; {hint}" if close else ""))
    return TutelageError(
        f"unknown model '{name}': {hint} (others: timm/NAME, torchvision/NAME, hf-hub:USER/REPOSITORY, a folder)"
    )
