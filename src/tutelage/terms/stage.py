"""A stage: a span of training with its own terms, trainable part, optimiser, schedule and length."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch.nn as nn

from tutelage.terms.optimization import Optimizer, Schedule
from tutelage.terms.term import IMAGE_GRADIENT, MIRRORED_GRADIENT, RESERVED, Term


@dataclass(frozen=True)
class Stage:
    """A span of training.

    The student runs only as deep as its deepest tap where neither the task nor a term needs its logits; what lies
    deeper is not trained. ``frozen`` names modules (with all below them) and parameters that run but are not trained:
    the modules stay in eval mode, and all are bit-identical afterwards. ``optimizer`` and ``schedule``, where given,
    replace the run's. ``teacher_mode`` says whether the teacher normalises by its running statistics (``eval``) or by
    those of each batch (``batch``).
    """

    name: str
    epochs: int
    terms: tuple[Term, ...] = ()
    task_weight: float = 1.0
    """The factor of the cross-entropy with the labels; 0 leaves it out."""
    frozen: tuple[str, ...] = ()
    optimizer: Optimizer | None = None
    schedule: Schedule | None = None
    teacher_mode: Literal["eval", "batch"] = "eval"

    @property
    def student_taps(self) -> tuple[str, ...]:
        return _features(tap for term in self.terms for tap in term.student_taps)

    @property
    def teacher_taps(self) -> tuple[str, ...]:
        return _features(tap for term in self.terms for tap in term.teacher_taps)

    def frozen_modules(self, student: nn.Module) -> tuple[str, ...]:
        """The names in ``frozen`` that are not parameters."""
        parameters = {name for name, _ in student.named_parameters()}
        return tuple(name for name in self.frozen if name not in parameters)

    @property
    def student_logits(self) -> bool:
        """Whether the student must run to its end."""
        return self.task_weight > 0 or any(tap in RESERVED for term in self.terms for tap in term.student_taps)

    @property
    def teacher_logits(self) -> bool:
        """Whether the teacher must run to its end, with the classes of the data."""
        return any(tap in RESERVED for term in self.terms for tap in term.teacher_taps)

    @property
    def needs_teacher(self) -> bool:
        return any(term.teacher_taps for term in self.terms)

    @property
    def image_gradient(self) -> bool:
        """Whether a term reads gradients with respect to the image: labels are needed, and autocast is off."""
        return any(IMAGE_GRADIENT in (*term.student_taps, *term.teacher_taps) for term in self.terms)

    @property
    def mirrored_gradient(self) -> bool:
        """Whether a term reads the student's gradient with respect to the mirrored image."""
        return any(MIRRORED_GRADIENT in term.student_taps for term in self.terms)


def _features(taps: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tap for tap in taps if tap not in RESERVED))
