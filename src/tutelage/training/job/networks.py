"""From settings to networks: created for the data, with their normalisation; teachers with their own classes."""

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
    spec_of,
)
from tutelage.paths import expand
from tutelage.training.job.classes import class_places

LIBRARIES = ("timm/", "torchvision/", "hf-hub:")


def build_network(role: str, settings: ModelSettings, num_classes: int | None) -> nn.Module:
    """Returns a network with ``num_classes``, or with its own where that is None; where they differ its head is new.

    Its input size and normalisation are those of ``settings``, where they name some. Raises :class:`TutelageError` that
    names the ``role``.
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
            add_note(network, f"left out the classifier of its {theirs} classes: that of these {num_classes} is new")
        return network
    except TutelageError as error:
        raise TutelageError(f"{role}={settings.name}: {error}") from error


def has_classes(settings: ModelSettings) -> bool:
    """Return whether the weights are a file's or a folder's, which come with their own classifier."""
    file = settings.weights is not None and expand(settings.weights).is_file()
    return file or expand(settings.name).is_dir()


def _resize(network: nn.Module, wanted: int | tuple[int, int]) -> None:
    size = (wanted, wanted) if isinstance(wanted, int) else wanted
    if can_resize(network):
        network.set_input_size(img_size=size)  # type: ignore[operator]
    _change(network, input_size=size)


def can_resize(network: nn.Module) -> bool:
    """Whether a network of one input size can be given another, as timm's transformers can."""
    return hasattr(network, "set_input_size")


def add_note(network: nn.Module, note: str) -> None:
    """Adds to what is shown and kept of how the network's weights came about."""
    _change(network, notes=(*spec_of(network).notes, note))


def _change(network: nn.Module, **changes: Any) -> None:
    network.spec = replace(spec_of(network), **changes)  # type: ignore[assignment]


def build_normalization(network: nn.Module, data: ImageData, size: tuple[int, int] | None = None) -> Normalization:
    """Returns the network's own normalisation, the data's where it has none; images are resized to ``size`` (H, W)."""
    spec = spec_of(network)
    return Normalization(spec.mean or data.mean, spec.std or data.std, size)


def completed(spec: ModelSpec, data: ImageData, size: tuple[int, int] | None = None) -> ModelSpec:
    """Returns what is saved with a network: what it does not know of itself is what the data say."""
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
    """Returns the settings of one of the teachers as a network; a library's has its pretrained weights."""
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
    """Return the teacher, or several as one if ``settings`` name several.

    One that is to be fine-tuned is as it is before that, with a new classifier.
    """
    members = [_build_member(name, settings, data) for name in settings.names]
    return members[0] if len(members) == 1 else Teachers(members)


def _build_member(name: str, settings: TeacherSettings, data: ImageData) -> Teacher:
    """Returns a teacher with its own classes, normalisation and input size."""
    classes = len(data.classes) if settings.finetune is not None else None
    network = build_network("teacher", teacher_model(name, settings), classes)
    if settings.classes is not None:
        _map_classes(network, settings.classes, data)
    else:
        reorder_classes(network, data)
    network.to(memory_format=torch.channels_last)
    return Teacher(network, build_normalization(network, data, spec_of(network).input_size))


def reorder_classes(network: nn.Module, data: ImageData) -> bool:
    """Give the logits of a network the order of the data's classes, found by name; leave out those of others.

    Returns whether its logits are then about these classes. A network that has other classes stays as it is.
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
        what = "put its classes in the order" if len(places) == spec.num_classes else "kept its classes"
        add_note(network, f"{what} of {data.name}, by name ({len(places)} of {spec.num_classes})")
    elif spec.classes is not None:
        _change(network, classes=data.classes)
    return True


def _map_classes(network: nn.Module, where: str, data: ImageData) -> None:
    """Reduces the logits to the data's classes, found by name; the spec's notes say which are which."""
    spec = spec_of(network)
    try:
        names = spec.classes if where == "own" else read_names(where)
        if names is None:
            raise TutelageError("it does not know the names of its classes: give imagenet-1k, or a file of them")
        if len(names) != spec.num_classes or not find_heads(network):
            raise TutelageError(f"{spec.name} has {spec.num_classes} classes, and there are {len(names)} names")
        places = match_classes(data.classes, names)
    except TutelageError as error:
        raise TutelageError(f"teacher.classes={where}: {error}") from error
    keep_classes(network, places, data.classes)
    pairs = "; ".join(f"{name}: {described(names[place])}" for name, place in zip(data.classes, places))
    add_note(network, f"kept {len(places)} of its {spec.num_classes} classes ({pairs})")
