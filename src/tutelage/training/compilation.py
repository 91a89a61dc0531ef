"""``compile=…``: networks turned into compiled ones for a stage, where that pays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch

from tutelage.distillation import Distiller
from tutelage.training.timing import Trial

COMPILE_SECONDS = 60.0
"""What compiling both networks takes, about."""
EXPECTED_SAVING = 0.1
"""Part of a step that compiling may save, so that a trial is worth its time."""
LEAST_SAVING = 0.05
"""Part of its own time that a network must save to be kept compiled: less is noise."""


def compiles_teacher(choice: str) -> bool:
    """Whether ``compile=choice`` compiles the teacher."""
    return choice in ("teacher", "both", "graphs")


def compiles_student(choice: str) -> bool:
    """Whether ``compile=choice`` compiles the student."""
    return choice in ("student", "both", "graphs")


def compile_stage(distiller: Distiller, choice: str) -> None:
    """Compiles what ``choice`` names for the current stage: ``teacher``, ``student``, ``both``, ``graphs`` or ``off``.

    A stage that differentiates by the image runs as it is: compiled code has no second derivative.
    """
    if choice == "off" or distiller.stage.image_gradient:
        return
    # What was compiled for stages and runs before counts against a limit of the compiler.
    torch.compiler.reset()
    if compiles_teacher(choice) and distiller.stage.needs_teacher:
        distiller.compile_teacher(choice == "graphs")
    if compiles_student(choice):
        distiller.compile_student(choice == "graphs")


def choose_compilation(distiller: Distiller, trial: Trial, precision: str, steps: int, teacher_steps: int) -> str:
    """Returns what is faster compiled in a run of so many ``steps``, the teacher running in ``teacher_steps`` of them.

    Nothing is compiled for a run too short to win back the time that takes. A longer one tries both networks on the
    current stage, and keeps each that is faster. Stages that differentiate by the image run as they are.
    """
    if distiller.stage.image_gradient:
        return "off"
    rough = replace(trial, tries=1)
    student = rough.student_seconds(distiller, precision)
    teacher = rough.teacher_seconds(distiller, precision) if distiller.stage.needs_teacher else 0.0
    if (steps * student + teacher_steps * teacher) * EXPECTED_SAVING < COMPILE_SECONDS:
        return "off"
    torch.compiler.reset()
    faster = []
    if _pays(partial(trial.student_seconds, distiller, precision), distiller.compile_student):
        faster.append("student")
    if teacher and _pays(partial(trial.teacher_seconds, distiller, precision), distiller.compile_teacher):
        faster.append("teacher")
    return "both" if len(faster) == 2 else (faster or ["off"])[0]


def _pays(seconds: Callable[[], float], compile_it: Callable[[], None]) -> bool:
    """Whether something takes less time compiled; no, where this machine cannot compile it."""
    before = seconds()
    compile_it()
    try:
        return seconds() < (1 - LEAST_SAVING) * before
    except RuntimeError:
        return False
