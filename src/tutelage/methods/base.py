"""Base class and registry of methods, and the probed pair of networks that they work on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch.nn as nn
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from tutelage.errors import TutelageError
from tutelage.models import Extension, extended
from tutelage.registry import Registry
from tutelage.taps import Probe, before_activation, dry_run, pair_levels
from tutelage.terms import Stage

Group = Literal["logits", "relations", "maps", "embeddings", "other"]
"""What a method compares: outputs, relations between samples, feature maps, inputs of the classifiers."""


@dataclass(frozen=True)
class Pair:
    """Probed student and teacher, and what methods may know of the run: its length, batches and training set.

    Taps are given as pairs (teacher tap, student tap).

    Example:
        >>> from tutelage.models import create_model
        >>> student, teacher = (Probe(create_model(name, 5), (16, 16)) for name in ("resnet8", "wrn_10_1"))
        >>> pair = Pair(student, teacher, epochs=10)
        >>> pair.taps(None, "at")[-1]
        ('block3', 'layer3')
        >>> pair.shapes("block3", "layer3")
        ((64, 4, 4), (64, 4, 4))
        >>> pair.first_epochs(None, "fsp.epochs")
        2
    """

    student: Probe
    teacher: Probe | None
    epochs: int
    """Total length of all stages."""
    teachers: int = 1
    """Number of teachers. The logits of several teachers are stacked, (M, B, K)."""
    labels: Tensor | None = None
    """Labels (N,) of the training samples, in the order of their indices (``INDEX``), int64, −1 if unlabeled."""
    batch_size: int | None = None
    """Samples per step, over all processes."""

    @property
    def classes(self) -> int:
        """Number of the student's logits."""
        assert self.student.num_classes is not None
        return self.student.num_classes

    def known_labels(self, method: str) -> Tensor:
        """Return ``labels``.

        Raises:
            TutelageError: If they are not known or not class numbers; the message names the argument to pass.
        """
        labels = self.labels
        if labels is None or labels.ndim != 1 or labels.is_floating_point():
            given = "" if labels is None else f", not {labels.dtype} of shape {tuple(labels.shape)}"
            raise TutelageError(
                f"method={method} needs the labels of all training samples; pass Distiller(…, labels=labels), integers "
                f"of shape (N,), -1 if unlabeled{given}, and in each step distiller(…, index=index), the places of the "
                f"batch among them"
            )
        return labels

    def known_batch_size(self, method: str) -> int:
        """Return ``batch_size``.

        Raises:
            TutelageError: If it is not known; the message names the argument to pass.
        """
        if self.batch_size is None:
            raise TutelageError(
                f"method={method} needs the number of samples per step, over all processes; pass "
                f"Distiller(…, batch_size=…)"
            )
        return self.batch_size

    def taps(self, chosen: dict[str, str] | None, method: str) -> list[tuple[str, str]]:
        """Return the pairs of taps, shallow to deep.

        Args:
            chosen: The user's choice, {teacher tap: student tap}. None pairs the levels of the two networks.
            method: Name of the method, for error messages.

        Raises:
            TutelageError: If ``chosen`` repeats a student tap, or the networks have no levels to pair.
        """
        assert self.teacher is not None
        if chosen is None:
            return pair_levels(self.teacher, self.student)
        again = [tap for tap, count in Counter(chosen.values()).items() if count > 1]
        if again:
            raise TutelageError(
                f"{method}.taps names the student's tap '{again[0]}' twice; use a different tap in each pair"
            )
        return list(chosen.items())

    def stems(self) -> list[tuple[str, str]]:
        """Return the pair of taps at the outputs of the stems, or an empty list if a network has no stem."""
        assert self.teacher is not None
        theirs, ours = self.teacher.stem, self.student.stem
        return [] if theirs is None or ours is None else [(theirs, ours)]

    def before_activation(self, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return the pairs with each tap moved before its activation function; see ``taps.before_activation``."""
        assert self.teacher is not None
        return [
            (before_activation(self.teacher.model, theirs), before_activation(self.student.model, ours))
            for theirs, ours in pairs
        ]

    def common_size(self, teacher_tap: str, student_tap: str) -> tuple[int, int]:
        """Return the size (H, W) at which the features of a pair are compared: the smaller of each side."""
        (_, h_t, w_t), (_, h_s, w_s) = self.shapes(teacher_tap, student_tap)
        return min(h_t, h_s), min(w_t, w_s)

    def first_epochs(self, chosen: int | None, setting: str) -> int:
        """Return the number of epochs of the first of two stages.

        Args:
            chosen: The user's choice. None for a fifth of the run's epochs, at least one.
            setting: Name of the setting, for error messages.

        Raises:
            TutelageError: If no epoch would be left for the last stage.
        """
        epochs = chosen or max(1, round(self.epochs / 5))
        if epochs >= self.epochs:
            raise TutelageError(
                f"{setting}: the first stage would take {epochs} of {self.epochs} epochs and leave none for the last; "
                f"raise epochs (now {self.epochs}) or lower {setting}"
            )
        return epochs

    def shapes(self, teacher_tap: str, student_tap: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the shapes (C, H, W) of the features at a pair of taps, teacher first.

        Raises:
            TutelageError: If a tap does not exist or its features are not a map.
        """
        assert self.teacher is not None
        return _map_shape("teacher", self.teacher, teacher_tap), _map_shape("student", self.student, student_tap)

    def extended(self, extension: Extension, method: str) -> nn.Module:
        """Return the student with the parts of ``extension``; see ``models.extended``.

        Args:
            extension: What to add to the student.
            method: Name of the method, for error messages.

        Raises:
            TutelageError: If the student is already extended, or does not run with the parts.
        """
        student = self.student.model
        network = extended(student, extension)
        try:
            dry_run(network, self.student.input_size)
        except (TutelageError, AttributeError) as error:  # code that reads attributes of the module before a part
            places = " and ".join(f"'{insertion.after}'" for insertion in extension.inserted)
            raise TutelageError(
                f"{method} cannot insert its part after {places} of the student ({type(student).__name__}): {error}"
            ) from error
        return network

    def after_activation(self, teacher_tap: str) -> bool:
        """Return whether the teacher's tap reads the output of an activation, so that a connector may end in one."""
        assert self.teacher is not None
        return any(point.name == teacher_tap and point.activation == "after" for point in self.teacher.points)


def _map_shape(role: str, probe: Probe, tap: str) -> tuple[int, ...]:
    shape = probe.shape(tap)
    if len(shape) != 3:
        size = "x".join(map(str, probe.input_size))
        raise TutelageError(
            f"the {role}'s tap '{tap}' has features of shape {shape}, which are not a map of {size} images; use a tap "
            f"whose features are (C, H, W), (H, W, C) or tokens that fill a grid (tutelage inspect lists the taps)"
        )
    return shape


class Method(BaseModel, ABC):
    """Base class of distillation methods: settings, and the stages for a probed pair of networks.

    Each method's docstring states its equation, its paper, and how public code differs. The first line of the docstring
    is its entry in ``tutelage list methods``.

    Example:
        >>> from tutelage.losses import kd_loss
        >>> from tutelage.terms import LOGITS, Term
        >>> class Outputs(Method):
        ...     temperature: float = 2.0
        ...     def stages(self, pair):
        ...         match = lambda student, teacher: kd_loss(student, teacher, self.temperature)
        ...         return [Stage("train", pair.epochs, (Term("out", 1.0, (LOGITS,), (LOGITS,), lambda t: t, match),))]
        >>> Outputs(temperature=3.0).needs_teacher
        True
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    group: ClassVar[Group] = "other"
    """What the method compares, by which ``tutelage list methods`` groups it."""

    matches: ClassVar[str] = ""
    """What the student learns to match, in at most 25 characters."""

    single_samples: ClassVar[bool | None] = None
    """Whether the method needs unmixed samples with hard labels; it then rejects mixup and CutMix.

    None if its terms that read labels do. Set False if they accept soft labels (B, K).
    """

    deploys: ClassVar[str] = ""
    """What the method adds to the student that is deployed ("a projector and the teacher's classifier"); "" if nothing.

    Such a method implements ``deployed``.
    """

    @property
    def needs_teacher(self) -> bool:
        """Whether the method needs a teacher."""
        return True

    def implying(self, **implied: object) -> dict[str, object]:
        """Return the settings that were set, and the values ``implied`` by one of them for those that were not."""
        chosen = {name: getattr(self, name) for name in self.model_fields_set}
        return implied | {name: value for name, value in chosen.items() if value is not None}

    def deployed(self, pair: Pair) -> nn.Module:
        """Return the network to train and deploy instead of the student, usually ``pair.extended(…)``.

        ``stages`` then receives this network, probed, as the student of its pair.
        """
        return pair.student.model

    @abstractmethod
    def stages(self, pair: Pair) -> list[Stage]:
        """Return the stages for ``pair``, in order."""


METHODS: Registry[type[Method]] = Registry("method")
"""Registered methods by name."""
