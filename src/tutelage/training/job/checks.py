"""Checks for incompatible settings, data and networks, before any training."""

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
"""Fewer views per image cause a warning, because the student overfits fixed targets (Beyer et al., 2022)."""


def check_classes(data: ImageData) -> None:
    """Check that the training images have more than one label.

    Raises:
        TutelageError: If all labels are the same.
    """
    labels = data.train.labels
    found = labels[labels >= 0].unique().tolist()
    if len(found) == 1:
        raise TutelageError(
            f"data={data.name} has only one class, '{data.classes[found[0]]}'; add another class folder, read labels "
            f"from a table with data=FILE.csv, or set data to a folder that directly contains the images to train "
            f"without labels"
        )


def check_measurable(data: ImageData, validation: float) -> None:
    """Check that there are images to measure on that are not trained on.

    Raises:
        TutelageError: If the data have neither a validation nor a test split.
    """
    if data.validation is None and data.test is None:
        raise TutelageError(
            f"data.validation={validation:g}: {data.name} has no validation or test split, which leaves no images to "
            f"measure on; set data.validation=0.1, or add images to each class"
        )


def check_size(setting: str, network: nn.Module, size: tuple[int, int]) -> None:
    """Check that the network accepts images of ``size``.

    Raises:
        TutelageError: If it does not; the message names ``setting``.
    """
    try:
        dry_run(network, size)
    except TutelageError as error:
        own = native_size(network)
        if own == size:
            raise TutelageError(f"{error} Set {setting} to a size that it accepts.") from None
        fits = f", or {setting}={_size(size)} to adapt the network to the images" if can_resize(network) else ""
        raise TutelageError(f"{error} Set {setting}={_size(own)} to resize the images{fits}.") from None


def _size(size: tuple[int, int]) -> str:
    return str(size[0]) if size[0] == size[1] else f"[{size[0]},{size[1]}]"


def weigh_classes(settings: RunSettings, data: ImageData) -> list[float] | None:
    """Return the class weights of the cross-entropy, or None if ``class_weights`` is not set.

    Balanced weights are n / (K · n_k), with mean 1 over the n labeled training images.

    Raises:
        TutelageError: If there is not one weight per class, or there are no labels.
    """
    weights, labels = settings.class_weights, data.train.labels
    if weights is None:
        return None
    if not (labels >= 0).any():
        raise TutelageError(f"class_weights needs labels, and data={data.name} has none; remove class_weights")
    if weights == "balanced":
        counts = labels[labels >= 0].bincount(minlength=len(data.classes))
        share = counts.sum() / ((counts > 0).sum() * counts.clamp(min=1))
        return torch.where(counts > 0, share, 0.0).tolist()
    if len(weights) != len(data.classes):
        raise TutelageError(
            f"class_weights has {len(weights)} values, and data={data.name} has {len(data.classes)} classes; set one "
            f"per class, in the order {', '.join(data.classes[:5])}{', …' if len(data.classes) > 5 else ''}"
        )
    return list(weights)


def check_smallest_batch(distiller: Distiller, settings: RunSettings, data: ImageData, processes: int) -> None:
    """Check that no batch normalization would see a single value per channel, which has no variance.

    Raises:
        TutelageError: If one would; the message names the setting to change.
    """
    share = max(1, min(settings.batch_size, len(data.train)) // processes)
    if share // min(settings.accumulate, share) > 1:
        return
    terms = (term for stage in distiller.stages for term in stage.terms)
    kept = [(buffer, buffer.clone()) for module in (distiller, *terms) for buffer in module.buffers()]
    try:
        with torch.random.fork_rng(devices=[]):
            for index in range(len(distiller.stages)):
                distiller.enter(index)
                labels = torch.zeros(1, dtype=torch.int64)
                distiller(torch.zeros(1, 3, *data.size, dtype=torch.uint8), labels, index=labels)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise TutelageError(_one_image(settings, data, processes)) from None
    finally:
        distiller.enter(0)
        for buffer, before in kept:
            buffer.copy_(before)


def _one_image(settings: RunSettings, data: ImageData, processes: int) -> str:
    problem = "batch normalization needs two values per channel"
    each = f" in each of {processes} processes" if processes > 1 else ""
    if settings.batch_size > len(data.train):
        return f"data={data.name} has too few training images ({len(data.train)}), and {problem}{each}; add images"
    if settings.accumulate > 1:
        return (
            f"accumulate={settings.accumulate} splits batches of batch_size={settings.batch_size} into single images"
            f"{each}, and {problem}; lower accumulate or raise batch_size"
        )
    return f"batch_size={settings.batch_size} is one image{each}, and {problem}; set batch_size={2 * processes} or more"


def check_trained(teacher: BaseTeacher | None, finetune: str | None = None) -> None:
    """Check that teachers have trained weights, or that all layers are fine-tuned first.

    Args:
        teacher: The teacher, if any.
        finetune: The part that is fine-tuned first. Training only the ``head`` of a random network is not enough.

    Raises:
        TutelageError: If a teacher has random weights and ``finetune`` is not ``full``.
    """
    for member in teacher.members if teacher is not None else []:
        if member.source == "random" and finetune != "full":
            raise TutelageError(
                f"teacher={member.name} has random weights; set teacher to a trained run (tutelage train data=… "
                f"model={member.name} out=runs/teacher, then teacher=runs/teacher), set teacher.weights=FILE, or "
                f"teacher.finetune=full to train it first"
            )


def without_labels(stages: Sequence[Stage], methods: Mapping[str, Method], data: str) -> list[Stage]:
    """Return the stages without cross-entropy, for images without labels.

    Raises:
        TutelageError: If a method needs labels, or is set to use them.
    """
    missing = f"data={data} has no labels (put the images of each class into {data}/CLASS/)"
    if getattr(methods.get("kd"), "labels", False):
        raise TutelageError(f"{missing}, and kd uses them in its cross-entropy; set kd.labels=false")
    for stage in stages:
        if not stage.terms or stage.terms_need_labels:
            raise TutelageError(
                f"{missing}, and stage '{stage.name}' of method={'+'.join(methods)} needs them; set method=kd "
                f"kd.labels=false, or a method that only reads features (such as method=at)"
            )
    return [replace(stage, task_weight=0.0) for stage in stages]


def check_mixing(data: DataSettings, methods: Mapping[str, Method]) -> None:
    """Check that images are not mixed if a method needs single images with their own labels.

    Raises:
        TutelageError: If they are; the message names the settings.
    """
    whole = [name for name, method in methods.items() if method.single_samples]
    if whole and data.mixtures:
        given = " and ".join(f"data.{name}={getattr(data, name):g}" for name in data.mixtures)
        raise TutelageError(
            f"{given} mixes images, but method={whole[0]} needs single images with their own labels; "
            f"set {' '.join(f'data.{name}=0' for name in data.mixtures)} or another method"
        )


def check_labels(data: DataSettings, methods: Mapping[str, Method], stages: Sequence[Stage]) -> None:
    """Check that images are not mixed if a term reads their labels, unless a method states that it accepts soft labels.

    Raises:
        TutelageError: If they are; the message names the settings and the term.
    """
    if not data.mixtures or any(method.single_samples is False for method in methods.values()):
        return
    for term in (term for stage in stages for term in stage.terms if term.needs_labels):
        given = " and ".join(f"data.{name}={getattr(data, name):g}" for name in data.mixtures)
        raise TutelageError(
            f"{given} mixes labels, but the term {term.name} needs one class per image; "
            f"set {' '.join(f'data.{name}=0' for name in data.mixtures)} or another method"
        )


def check_accumulate(settings: RunSettings, stages: Sequence[Stage]) -> None:
    """Check that batches are not split if a term relates their samples to each other.

    Raises:
        TutelageError: If they are; the message names the setting and the term.
    """
    for term in (term for stage in stages for term in stage.terms if term.relational):
        if settings.accumulate > 1:
            raise TutelageError(
                f"accumulate={settings.accumulate} splits each batch, but the term {term.name} relates all samples of "
                f"a batch to each other; set accumulate=1, and a smaller batch_size if memory runs out"
            )


def check_cacheable(settings: DistillSettings, stages: Sequence[Stage]) -> None:
    """Check that the targets can be cached, if ``cache.views`` is set.

    Raises:
        TutelageError: If they cannot; the message names the setting or term.
    """
    if settings.cache.views is None:
        return
    given = f"cache.views={settings.cache.views}"
    if settings.data.mixtures:
        mixed = " and ".join(f"data.{name}={getattr(settings.data, name):g}" for name in settings.data.mixtures)
        raise TutelageError(
            f"{given} caches targets of single images, but {mixed} mixes each with a different image every epoch; "
            f"remove one of them"
        )
    if settings.cache.top_k is not None and not any(stage.teacher_logits for stage in stages):
        raise TutelageError(
            f"cache.top_k={settings.cache.top_k} applies to logits, and method={settings.method} caches none; remove it"
        )
    for stage in stages:
        if stage.teacher_mode == "batch":
            raise TutelageError(
                f"{given}: the teacher of method={settings.method} normalizes with the statistics of each batch, so "
                f"its output for an image depends on the other images; remove cache.views or set another method"
            )
        for term in stage.terms:
            if term.teacher_taps and term.kept is None:
                raise TutelageError(
                    f"{given}: caching the term {term.name} is not worthwhile, because its targets need more space "
                    f"than recomputing costs time, or depend on other images. Remove cache.views, or use small "
                    f"targets: method=kd, at, fsp, or with cache.features=true fitnets and nst.layers=last"
                )
            if settings.cache.top_k is not None and term.kept is not None and term.kept.whole:
                raise TutelageError(
                    f"cache.top_k={settings.cache.top_k} stores only the largest logits, but the term {term.name} "
                    f"needs those of all classes; remove cache.top_k"
                )
            if term.kept is not None and term.kept.kind == "features" and not settings.cache.features:
                raise TutelageError(
                    f"{given}: the term {term.name} caches feature maps, which need much space; set "
                    f"cache.features=true to allow it (the size is printed first), or remove cache.views"
                )


def warn_of_few_views(settings: RunSettings) -> None:
    """Warn if so few views are cached that the student may overfit the targets."""
    if not isinstance(settings, DistillSettings) or not isinstance(settings.cache.views, int):
        return
    if settings.cache.views < min(FEW_VIEWS, settings.epochs):
        warnings.warn(
            f"The student may overfit the cached targets, because cache.views={settings.cache.views} is low; set "
            f"{FEW_VIEWS} or more",
            stacklevel=2,
        )
