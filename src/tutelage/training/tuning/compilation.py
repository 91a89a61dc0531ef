"""``compile=…``: networks turned into compiled ones for a stage, where that pays."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch

from tutelage.console import phase
from tutelage.distillation import Distiller
from tutelage.training.tuning.trial import StepTrial, least

COMPILE_SECONDS = 60.0
"""What compiling both networks takes, about."""
LEAST_SAVING = 0.05
"""Part of its own time that a network must save to be kept compiled: less is noise."""
TRIES = 3


def compiles_teacher(choice: str) -> bool:
    """Whether ``compile=choice`` compiles the teacher."""
    return choice in ("teacher", "both", "graphs")


def compiles_student(choice: str) -> bool:
    """Whether ``compile=choice`` compiles the student."""
    return choice in ("student", "both", "graphs")


def compile_stage(distiller: Distiller, choice: str) -> AbstractContextManager[object]:
    """Compiles what ``choice`` names for the current stage: ``teacher``, ``student``, ``both``, ``graphs`` or ``off``.

    A stage that differentiates by the image runs as it is: compiled code has no second derivative. The compiler runs in
    the first step: take it within the context manager that is returned, which shows that it takes a while.
    """
    if choice == "off" or distiller.stage.differentiates:
        return nullcontext()
    # What was compiled for stages and runs before counts against a limit of the compiler.
    torch.compiler.reset()
    if compiles_teacher(choice) and distiller.stage.needs_teacher:
        distiller.compile_teacher(choice == "graphs")
    if compiles_student(choice):
        distiller.compile_student(choice == "graphs")
    return phase(f"compiling for stage {distiller.stage.name}")


def choose_compilation(trial: StepTrial, precision: str) -> str:
    """Compile both networks of the current stage, and return which of them are faster for it."""
    distiller = trial.distiller
    torch.compiler.reset()
    faster = []
    if _pays(partial(trial.student_step, precision), distiller.compile_student):
        faster.append("student")
    if distiller.stage.needs_teacher and _pays(partial(trial.teacher_pass, precision), distiller.compile_teacher):
        faster.append("teacher")
    return "both" if len(faster) == 2 else (faster or ["off"])[0]


def _pays(seconds: Callable[[], float], compile_it: Callable[[], None]) -> bool:
    """Whether something takes less time compiled; no, where this machine cannot compile it."""
    before = least(seconds, TRIES)
    compile_it()
    try:
        return least(seconds, TRIES) < (1 - LEAST_SAVING) * before
    except RuntimeError:
        return False
