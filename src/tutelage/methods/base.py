"""What every method shares: its settings, the probed pair it works on, and the register of names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from tutelage.errors import TutelageError
from tutelage.registry import Registry
from tutelage.taps import Probe, before_activation, pair_levels
from tutelage.terms import Stage


@dataclass(frozen=True)
class Pair:
    """A probed teacher and student, and how many epochs the run has for all stages together."""

    student: Probe
    teacher: Probe | None
    epochs: int
    teachers: int = 1
    """How many networks teach; more than one give their logits side by side, (M, B, K)."""

    @property
    def classes(self) -> int:
        """Width of the student's logits."""
        assert self.student.num_classes is not None
        return self.student.num_classes

    def taps(self, chosen: dict[str, str] | None, method: str) -> list[tuple[str, str]]:
        """Return pairs (teacher tap, student tap), shallow to deep: the ``chosen`` ones, else the paired levels."""
        assert self.teacher is not None
        if chosen is None:
            return pair_levels(self.teacher, self.student)
        again = [tap for tap, count in Counter(chosen.values()).items() if count > 1]
        if again:
            raise TutelageError(f"{method}.taps names the student's tap '{again[0]}' twice: give each pair its own")
        return list(chosen.items())

    def stems(self) -> list[tuple[str, str]]:
        """Return the pair of taps behind the stems, before the first levels; empty if a network has no stem."""
        assert self.teacher is not None
        theirs, ours = self.teacher.stem, self.student.stem
        return [] if theirs is None or ours is None else [(theirs, ours)]

    def before_activation(self, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Returns the pairs of taps moved to before the activations that made them."""
        assert self.teacher is not None
        return [
            (before_activation(self.teacher.model, theirs), before_activation(self.student.model, ours))
            for theirs, ours in pairs
        ]

    def common_size(self, teacher_tap: str, student_tap: str) -> tuple[int, int]:
        """Returns the (H, W) that the features at a pair of taps are compared in: the smaller of each."""
        (_, h_t, w_t), (_, h_s, w_s) = self.shapes(teacher_tap, student_tap)
        return min(h_t, h_s), min(w_t, w_s)

    def first_epochs(self, chosen: int | None, setting: str) -> int:
        """Returns the length of a stage before the last: ``chosen``, else a fifth of the run's epochs.

        Raises :class:`TutelageError` where none would be left for the last.
        """
        epochs = chosen or max(1, round(self.epochs / 5))
        if epochs >= self.epochs:
            raise TutelageError(
                f"{setting}: {epochs} of {self.epochs} epochs would go to the first stage and none would be left for "
                f"the last: raise epochs (now {self.epochs}) or lower {setting}"
            )
        return epochs

    def shapes(self, teacher_tap: str, student_tap: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Returns the shapes (C, H, W) at a pair of taps: the teacher's, the student's.

        Raises :class:`TutelageError` where a tap reads no map.
        """
        assert self.teacher is not None
        return _map_shape("teacher", self.teacher, teacher_tap), _map_shape("student", self.student, student_tap)

    def after_activation(self, teacher_tap: str) -> bool:
        """Whether the teacher's tap reads what an activation function gave: no connector need make negative values."""
        assert self.teacher is not None
        return any(point.name == teacher_tap and point.activation == "after" for point in self.teacher.points)


def _map_shape(role: str, probe: Probe, tap: str) -> tuple[int, ...]:
    shape = probe.shape(tap)
    if len(shape) != 3:
        size = "x".join(map(str, probe.input_size))
        raise TutelageError(
            f"the {role}'s tap '{tap}' reads features of shape {shape}, which are no map of images of {size} pixels: "
            f"name one that reads (C, H, W), (H, W, C) or tokens that fill a grid (tutelage inspect lists the taps)"
        )
    return shape


class Method(BaseModel, ABC):
    """A published recipe for distillation: settings, and the stages it makes of a probed pair.

    The docstring of each method states its equation, its paper and where public code differs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    single_samples: ClassVar[bool] = False
    """Whether it needs each sample whole, with its own label: mixup and CutMix are then refused."""

    @property
    def needs_teacher(self) -> bool:
        return True

    @abstractmethod
    def stages(self, pair: Pair) -> list[Stage]:
        """Returns the stages, in order, for this pair."""


METHODS: Registry[type[Method]] = Registry("method")
