"""Stages: spans of training with their own terms, trainable part, optimizer, schedule and length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch.nn as nn

from tutelage.terms.optimization import Optimizer, Schedule
from tutelage.terms.reserved import INDEX, LOGITS, ComputedTap, is_reserved
from tutelage.terms.term import Term


@dataclass(frozen=True)
class Stage:
    """Span of training with its own terms.

    If neither the cross-entropy nor a term needs the student's logits, the student runs only as deep as its deepest
    tap, and deeper layers are not trained.

    Example:
        >>> from tutelage.terms import LOGITS, Stage, Term
        >>> hint = Term("hint", 1.0, ("layer2",), ("layer2",), lambda t: t, lambda s, t: (s - t).square().mean())
        >>> stage = Stage("hint", epochs=5, terms=(hint,), task_weight=0.0)
        >>> stage.student_taps, stage.student_logits
        (('layer2',), False)
    """

    name: str
    epochs: int
    terms: tuple[Term, ...] = ()
    task_weight: float = 1.0
    """Weight of the cross-entropy with the labels; 0 omits it."""
    frozen: tuple[str, ...] = ()
    """Names of modules (including their submodules) and parameters that are not trained; modules stay in eval mode."""
    optimizer: Optimizer | None = None
    """Optimizer of this stage; None for the run's optimizer."""
    schedule: Schedule | None = None
    """Learning-rate schedule of this stage; None for the run's schedule."""
    teacher_mode: Literal["eval", "batch"] = "eval"
    """Statistics of the teacher's batch normalization: running ("eval") or of each batch ("batch")."""

    @property
    def student_taps(self) -> tuple[str, ...]:
        """Taps that read activations of the student, without reserved taps."""
        return tuple(tap for tap in self._read_of_student if not is_reserved(tap))

    @property
    def teacher_taps(self) -> tuple[str, ...]:
        """Taps that read activations of the teacher, without reserved taps."""
        return tuple(tap for tap in self._read_of_teacher if not is_reserved(tap))

    @property
    def student_computed(self) -> tuple[ComputedTap, ...]:
        """Taps that are computed from the student."""
        return tuple(tap for tap in self._read_of_student if isinstance(tap, ComputedTap))

    @property
    def teacher_computed(self) -> tuple[ComputedTap, ...]:
        """Taps that are computed from the teacher."""
        return tuple(tap for tap in self._read_of_teacher if isinstance(tap, ComputedTap))

    def frozen_modules(self, student: nn.Module) -> tuple[str, ...]:
        """Return the names in ``frozen`` that are modules, not parameters."""
        parameters = {name for name, _ in student.named_parameters()}
        return tuple(name for name in self.frozen if name not in parameters)

    @property
    def student_logits(self) -> bool:
        """Whether the student must compute its logits."""
        return self.task_weight > 0 or any(map(_needs_logits, self._read_of_student))

    @property
    def teacher_logits(self) -> bool:
        """Whether the teacher must compute its logits, so that it needs the classes of the data."""
        return any(map(_needs_logits, self._read_of_teacher))

    @property
    def needs_teacher(self) -> bool:
        """Whether a term reads the teacher."""
        return bool(self._read_of_teacher)

    @property
    def terms_need_labels(self) -> bool:
        """Whether a term reads the labels, not counting the cross-entropy."""
        return any(term.needs_labels for term in self.terms)

    @property
    def needs_index(self) -> bool:
        """Whether a term reads the indices of the samples."""
        return INDEX in self._read_of_student

    @property
    def differentiates(self) -> bool:
        """Whether a term takes gradients with respect to the images; see ``ComputedTap``."""
        return any(tap.differentiates for tap in (*self.student_computed, *self.teacher_computed))

    @property
    def _read_of_student(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(tap for term in self.terms for tap in term.student_taps))

    @property
    def _read_of_teacher(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(tap for term in self.terms for tap in term.teacher_taps))


def _needs_logits(tap: str) -> bool:
    return tap == LOGITS or isinstance(tap, ComputedTap)
