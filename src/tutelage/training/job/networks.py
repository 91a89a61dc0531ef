"""Create student and teacher networks from settings, with input size, normalization and classes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
import torch.nn as nn

from tutelage.config import ModelSettings, TeacherSettings
from tutelage.data import ImageData, Normalization
from tutelage.distillation import BaseTeacher, Teacher, Teachers
from tutelage.errors import TutelageError
from tutelage.models import (
    ModelSpec,
    create_model,
    described,
    find_heads,
    keep_classes,
    match_classes,
    read_names,
    replace_head,
    saved_folder,
    spec_of,
)
from tutelage.paths import expand
from tutelage.training.job.classes import class_places

LIBRARIES = ("timm/", "torchvision/", "hf-hub:")


def build_network(role: str, settings: ModelSettings, num_classes: int | None) -> nn.Module:
    """Return a network with ``num_classes`` classes, with a new head if needed; None keeps its classes.

    Input size and normalization of ``settings`` are applied if set.

    Raises:
        TutelageError: If the network cannot be created; the message names the ``role``.
    """
    try:
        own = has_classes(settings)
        network = create_model(settings.name, None if own else num_classes, settings.weights, settings.weights_key)
        if settings.input_size is not None and settings.input_size != "own":
            _resize(network, settings.input_size)
        if settings.mean is not None and settings.std is not None:
            _change(network, mean=settings.mean, std=settings.std)
        theirs = spec_of(network).num_classes
        if num_classes is not None and theirs != num_classes:
            replace_head(network, num_classes)
            add_note(network, f"the classifier for {num_classes} classes is new and replaces one for {theirs}")
        return network
    except TutelageError as error:
        raise TutelageError(f"{role}={settings.name}: {error}") from error


def has_classes(settings: ModelSettings) -> bool:
    """Return whether the weights come from a file or folder, which contains a classifier."""
    file = settings.weights is not None and expand(settings.weights).is_file()
    return file or saved_folder(settings.name) is not None


def _resize(network: nn.Module, wanted: int | tuple[int, int]) -> None:
    size = (wanted, wanted) if isinstance(wanted, int) else wanted
    if can_resize(network):
        network.set_input_size(img_size=size)  # type: ignore[operator]
    _change(network, input_size=size)


def can_resize(network: nn.Module) -> bool:
    """Return whether the input size of a network can be changed, as in timm's transformers."""
    return hasattr(network, "set_input_size")


def add_note(network: nn.Module, note: str) -> None:
    """Add a note on the origin of the network's weights, which is shown and saved."""
    _change(network, notes=(*spec_of(network).notes, note))


def _change(network: nn.Module, **changes: Any) -> None:
    network.spec = replace(spec_of(network), **changes)  # type: ignore[assignment]


def build_normalization(network: nn.Module, data: ImageData, size: tuple[int, int] | None = None) -> Normalization:
    """Return the network's normalization, or else the data's; images are resized to ``size`` (H, W)."""
    spec = spec_of(network)
    return Normalization(spec.mean or data.mean, spec.std or data.std, size)


def completed(spec: ModelSpec, data: ImageData, size: tuple[int, int] | None = None) -> ModelSpec:
    """Return the spec to save with a network, with unknown values taken from the data."""
    return replace(
        spec,
        mean=spec.mean or data.mean,
        std=spec.std or data.std,
        input_size=size or data.size,
        crop=data.crop,
        resize=data.resize,
        classes=data.classes or None,
    )


def teacher_model(name: str, settings: TeacherSettings) -> ModelSettings:
    """Return the model settings of one teacher; networks of other libraries get their pretrained weights."""
    weights = settings.weights
    if weights is None and name.startswith(LIBRARIES):
        weights = "pretrained"
    return ModelSettings(
        name=name,
        weights=weights,
        weights_key=settings.weights_key,
        input_size=settings.input_size,
        mean=settings.mean,
        std=settings.std,
    )


def build_teacher(settings: TeacherSettings, data: ImageData) -> BaseTeacher:
    """Return the teacher, or an ensemble if ``settings`` name several.

    A teacher that will be fine-tuned has a new classifier.
    """
    members = [_build_member(name, settings, data) for name in settings.names]
    return members[0] if len(members) == 1 else Teachers(members)


def _build_member(name: str, settings: TeacherSettings, data: ImageData) -> Teacher:
    """Return a teacher with its own classes, normalization and input size."""
    classes = len(data.classes) if settings.finetune is not None else None
    network = build_network("teacher", teacher_model(name, settings), classes)
    if settings.classes is not None:
        _map_classes(network, settings.classes, data)
    else:
        reorder_classes(network, data)
    network.to(memory_format=torch.channels_last)
    return Teacher(network, build_normalization(network, data, spec_of(network).input_size))


def reorder_classes(network: nn.Module, data: ImageData) -> bool:
    """Reorder the logits of a network to match the data's classes by name, and remove those of other classes.

    Returns:
        Whether the logits are now for the data's classes. If they cannot be matched, the network stays unchanged.
    """
    spec = spec_of(network)
    if not data.classes:
        return True
    try:
        places = class_places(data.classes, spec.classes, spec.num_classes)
    except TutelageError:
        return False
    if places != list(range(spec.num_classes)):
        if len(set(places)) < len(places) or not find_heads(network):
            return False
        keep_classes(network, places, data.classes)
        what = "reordered its classes" if len(places) == spec.num_classes else "kept only the classes"
        add_note(network, f"{what} of {data.name}, by name ({len(places)} of {spec.num_classes})")
    elif spec.classes is not None:
        _change(network, classes=data.classes)
    return True


def _map_classes(network: nn.Module, where: str, data: ImageData) -> None:
    """Reduce the logits to the data's classes by name, and add the matches to the spec's notes."""
    spec = spec_of(network)
    try:
        names = spec.classes if where == "own" else read_names(where)
        if names is None:
            raise TutelageError("the names of its classes are unknown; set imagenet-1k or a file of names")
        if len(names) != spec.num_classes or not find_heads(network):
            raise TutelageError(
                f"{spec.name} has {spec.num_classes} classes, but there are {len(names)} names; use its own list"
            )
        places = match_classes(data.classes, names)
    except TutelageError as error:
        raise TutelageError(f"teacher.classes={where}: {error}") from error
    keep_classes(network, places, data.classes)
    pairs = "; ".join(f"{name}: {described(names[place])}" for name, place in zip(data.classes, places))
    add_note(network, f"kept {len(places)} of its {spec.num_classes} classes ({pairs})")
