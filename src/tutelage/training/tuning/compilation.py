"""``compile=…``: compile the networks of a stage, if that makes them faster."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch

from tutelage.console import phase
from tutelage.distillation import Distiller
from tutelage.training.tuning.trial import StepTrial, least

COMPILE_SECONDS = 60.0
"""Approximate time to compile both networks."""
LEAST_SAVING = 0.05
"""Fraction of its time that a network must save to stay compiled; smaller differences are noise."""
TRIES = 3


def compiles_teacher(choice: str) -> bool:
    """Return whether ``compile=choice`` compiles the teacher."""
    return choice in ("teacher", "both", "graphs")


def compiles_student(choice: str) -> bool:
    """Return whether ``compile=choice`` compiles the student."""
    return choice in ("student", "both", "graphs")


def compile_stage(distiller: Distiller, choice: str) -> AbstractContextManager[object]:
    """Compile networks of the current stage.

    Stages that differentiate with respect to the images are not compiled, because compiled code has no second
    derivative.

    Args:
        distiller: The distiller, in the stage.
        choice: ``teacher``, ``student``, ``both``, ``graphs`` (both, as CUDA graphs) or ``off``.

    Returns:
        A context for the first step, in which the compiler runs; it shows that this takes time.
    """
    if choice == "off" or distiller.stage.differentiates:
        return nullcontext()
    # Code compiled for earlier stages and runs counts towards a limit of the compiler.
    torch.compiler.reset()
    if compiles_teacher(choice) and distiller.stage.needs_teacher:
        distiller.compile_teacher(choice == "graphs")
    if compiles_student(choice):
        distiller.compile_student(choice == "graphs")
    return phase(f"compiling for stage {distiller.stage.name}")


def choose_compilation(trial: StepTrial, precision: str) -> str:
    """Compile both networks of the current stage, and return the choice for those that become faster."""
    distiller = trial.distiller
    torch.compiler.reset()
    faster = []
    if _pays(partial(trial.student_step, precision), distiller.compile_student):
        faster.append("student")
    if distiller.stage.needs_teacher and _pays(partial(trial.teacher_pass, precision), distiller.compile_teacher):
        faster.append("teacher")
    return "both" if len(faster) == 2 else (faster or ["off"])[0]


def _pays(seconds: Callable[[], float], compile_it: Callable[[], None]) -> bool:
    """Return whether compilation saves time; False if this machine cannot compile."""
    before = least(seconds, TRIES)
    compile_it()
    try:
        return least(seconds, TRIES) < (1 - LEAST_SAVING) * before
    except RuntimeError:
        return False
