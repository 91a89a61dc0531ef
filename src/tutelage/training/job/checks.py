"""What does not go together, found before any training."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
import torch.nn as nn

from tutelage.config import DistillSettings, RunSettings
from tutelage.data import DataSettings, ImageData
from tutelage.distillation import BaseTeacher, Distiller, native_size
from tutelage.errors import TutelageError
from tutelage.methods import Method
from tutelage.taps import dry_run
from tutelage.terms import Stage
from tutelage.training.job.networks import can_resize

FEW_VIEWS = 10
"""Fewer views of each image than this bring a warning: targets that do not move are overfitted (Beyer et al., 2022)."""


def check_classes(data: ImageData) -> None:
    """Raises :class:`TutelageError` if the labels of the training images are all the same."""
    labels = data.train.labels
    found = labels[labels >= 0].unique().tolist()
    if len(found) == 1:
        raise TutelageError(
            f"data={data.name} has one class, '{data.classes[found[0]]}', and nothing to tell it from: add another "
            f"class folder, take labels from a table with data=FILE.csv, or set data to a folder of images alone to "
            f"train without labels"
        )


def check_size(setting: str, network: nn.Module, size: tuple[int, int]) -> None:
    """Raises :class:`TutelageError` that names ``setting`` if the network does not run on images of ``size``."""
    try:
        dry_run(network, size)
    except TutelageError as error:
        own = native_size(network)
        if own == size:
            raise TutelageError(f"{error} Set {setting} to a size that it takes.") from None
        fits = f", or {setting}={_size(size)} to fit the network to the images" if can_resize(network) else ""
        raise TutelageError(f"{error} Set {setting}={_size(own)} to resize the images for it{fits}.") from None


def _size(size: tuple[int, int]) -> str:
    return str(size[0]) if size[0] == size[1] else f"[{size[0]},{size[1]}]"


def weigh_classes(settings: RunSettings, data: ImageData) -> list[float] | None:
    """Returns the weights of the classes in the cross-entropy; None if all are equal.

    Balanced weights are n / (K · n_k), the mean over the n labelled training images being 1. Raises
    :class:`TutelageError` if the weights are not one per class, or there are no labels.
    """
    weights, labels = settings.class_weights, data.train.labels
    if weights is None:
        return None
    if not (labels >= 0).any():
        raise TutelageError(f"class_weights: data={data.name} has no labels to weigh; leave class_weights out")
    if weights == "balanced":
        counts = labels[labels >= 0].bincount(minlength=len(data.classes))
        share = counts.sum() / ((counts > 0).sum() * counts.clamp(min=1))
        return torch.where(counts > 0, share, 0.0).tolist()
    if len(weights) != len(data.classes):
        raise TutelageError(
            f"class_weights has {len(weights)} values, and data={data.name} has {len(data.classes)} classes: set one "
            f"per class, in the order {', '.join(data.classes[:5])}{', …' if len(data.classes) > 5 else ''}"
        )
    return list(weights)


def check_smallest_batch(distiller: Distiller, settings: RunSettings, data: ImageData, processes: int) -> None:
    """Raises :class:`TutelageError` if a batch normalization would see one value per channel, which has no variance."""
    share = max(1, min(settings.batch_size, len(data.train)) // processes)
    if share // min(settings.accumulate, share) > 1:
        return
    kept = {name: buffer.clone() for name, buffer in distiller.named_buffers()}
    try:
        with torch.random.fork_rng(devices=[]):
            for index in range(len(distiller.stages)):
                distiller.enter(index)
                distiller(torch.zeros(1, 3, *data.size, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64))
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise TutelageError(_one_image(settings, data, processes)) from None
    finally:
        distiller.enter(0)
        for name, buffer in distiller.named_buffers():
            if name in kept:
                buffer.copy_(kept[name])


def _one_image(settings: RunSettings, data: ImageData, processes: int) -> str:
    problem = "batch normalization needs two values per channel"
    each = f" in each of {processes} processes" if processes > 1 else ""
    if settings.batch_size > len(data.train):
        return f"data={data.name} has too few training images ({len(data.train)}): {problem}{each}; add images"
    if settings.accumulate > 1:
        return (
            f"accumulate={settings.accumulate} cuts batches of batch_size={settings.batch_size} into parts of one "
            f"image{each}, and {problem}: lower accumulate or raise batch_size"
        )
    return f"batch_size={settings.batch_size} is one image{each}, and {problem}: set batch_size={2 * processes} or more"


def check_trained(teacher: BaseTeacher | None, finetune: str | None = None) -> None:
    """Raises :class:`TutelageError` where a network that is to teach has never been trained, and will not be.

    ``finetune`` is what of it is trained beforehand: a ``head`` alone is not enough.
    """
    for member in teacher.members if teacher is not None else []:
        if member.source == "random" and finetune != "full":
            raise TutelageError(
                f"teacher={member.name} has random weights, which teach nothing: give a run folder (tutelage train "
                f"data=… model={member.name} out=runs/teacher, then teacher=runs/teacher), teacher.weights=FILE, or "
                f"teacher.finetune=full, which trains it first"
            )


def without_labels(stages: Sequence[Stage], methods: Mapping[str, Method], data: str) -> list[Stage]:
    """Returns the stages without their cross-entropy, for images that have no labels.

    Raises :class:`TutelageError` where a method is nothing without labels, or is asked to use them.
    """
    missing = f"data={data} has no labels (images of a class belong in {data}/CLASS/IMAGE.jpg)"
    if getattr(methods.get("kd"), "labels", False):
        raise TutelageError(f"{missing}, and kd has a cross-entropy with them: give kd.labels=false")
    for stage in stages:
        if not stage.terms or stage.terms_need_labels:
            raise TutelageError(
                f"{missing}, and stage '{stage.name}' of method={'+'.join(methods)} needs them: give method=kd "
                f"kd.labels=false, or a method that reads features only (such as method=at)"
            )
    return [replace(stage, task_weight=0.0) for stage in stages]


def check_mixing(data: DataSettings, methods: Mapping[str, Method]) -> None:
    """Raises :class:`TutelageError` where images are mixed and a method needs each whole, with its own label."""
    whole = [name for name, method in methods.items() if method.single_samples]
    if whole and data.mixing:
        given = " and ".join(f"data.{name}={getattr(data, name):g}" for name in data.mixing)
        raise TutelageError(
            f"{given} mixes images, and method={whole[0]} needs each whole, with its own label: "
            f"give {' '.join(f'data.{name}=0' for name in data.mixing)}, or choose another method"
        )


def check_cacheable(settings: DistillSettings, stages: Sequence[Stage]) -> None:
    """Raises :class:`TutelageError` where targets are to be stored and cannot be, naming the setting or the term."""
    if settings.cache.views is None:
        return
    given = f"cache.views={settings.cache.views}"
    if settings.data.mixing:
        mixed = " and ".join(f"data.{name}={getattr(settings.data, name):g}" for name in settings.data.mixing)
        raise TutelageError(
            f"{given} stores targets of single images, and {mixed} mixes each with another one every epoch: leave one "
            f"of them out"
        )
    if settings.cache.top_k is not None and not any(stage.teacher_logits for stage in stages):
        raise TutelageError(
            f"cache.top_k={settings.cache.top_k}: method={settings.method} keeps no logits: leave it out"
        )
    for stage in stages:
        if stage.teacher_mode == "batch":
            raise TutelageError(
                f"{given}: the teacher of method={settings.method} normalises by the statistics of each batch, so that "
                f"what it gives for an image depends on the others: leave cache.views out, or choose another method"
            )
        for term in stage.terms:
            if term.teacher_taps and term.kept is None:
                raise TutelageError(
                    f"{given}: what the term {term.name} keeps of the teacher cannot pay: it takes more room than the "
                    f"teacher takes time, or is no function of the image alone. Leave cache.views out, or choose "
                    f"targets that are small: method=kd, at, fsp, or with cache.features=true fitnets and "
                    f"nst.layers=last"
                )
            if term.kept is not None and term.kept.kind == "features" and not settings.cache.features:
                raise TutelageError(
                    f"{given}: the term {term.name} keeps feature maps, which take much room: say cache.features=true "
                    f"to store them (the size is told before they are computed), or leave cache.views out"
                )


def warn_of_few_views(settings: RunSettings) -> None:
    """Warns where so few views are stored that the student may learn the targets by heart."""
    if not isinstance(settings, DistillSettings) or not isinstance(settings.cache.views, int):
        return
    if settings.cache.views < min(FEW_VIEWS, settings.epochs):
        warnings.warn(
            f"cache.views={settings.cache.views}: with fewer than {FEW_VIEWS} views of each image a student tends to "
            f"learn the targets by heart",
            stacklevel=2,
        )
