"""Runs that are killed again and again at random moments, in processes of their own, and always go on."""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from types import FrameType, FunctionType
from typing import Any

from harness.processes import FORKED, settle, words
from tutelage.runs.folder import RunFolder
from tutelage.training.loop.fit import Fit

RUN = Fit.run
WRITE = RunFolder.save_checkpoint
OFTEN = {"checkpoint_minutes": 0, "log_every": 1}
"""Settings with which there is a checkpoint after every step."""


class Killer:
    """Counts what Python calls and returns from while the training runs, or one function in it; kills at a number."""

    def __init__(self, inside: FunctionType, moment: int) -> None:
        self.inside, self.moment = inside.__code__, moment
        self.depth = self.seen = 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if frame.f_code is self.inside and event in ("call", "return"):
            self.depth += 1 if event == "call" else -1
        if self.depth:
            self.seen += 1
            if self.seen == self.moment:
                os.kill(os.getpid(), signal.SIGKILL)


def _run(arguments: list[str], inside: FunctionType, moment: int, seen: Any) -> None:
    from tutelage.cli import main

    settle()
    killer = Killer(inside, moment)
    sys.argv = ["tutelage", *arguments]

    def watched(*of: Any) -> None:
        sys.setprofile(killer)  # not before: it slows down all that it sees
        try:
            RUN(*of)
        finally:
            sys.setprofile(None)

    Fit.run = watched  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryFile("w") as said, redirect_stdout(said):
            main()  # which ends the process
    finally:
        seen.value = killer.seen


def events(arguments: list[str], inside: FunctionType = RUN, moment: int = 0) -> int | None:
    """Runs the command line in a process, to be killed at a moment; returns how many there were, None if killed."""
    seen = FORKED.Value("q", 0)
    process = FORKED.Process(target=_run, args=(arguments, inside, moment, seen))
    process.start()
    process.join()
    if process.exitcode == -signal.SIGKILL:
        return None
    assert process.exitcode == 0, arguments
    return int(seen.value)


def run_and_kill(settings: dict[str, Any], folder: Path, kills: int, seed: int, steps: int) -> int:
    """Trains ``settings`` of ``distill`` into ``folder`` to the end, killed up to so many times; returns how many.

    Every third kill is while a checkpoint is written, the others are anywhere in the next two of all ``steps``.
    """
    draw, killed = random.Random(seed), 0
    whole = words({**settings, **OFTEN, "out": folder.with_name(f"{folder.name}-counted")})
    anywhere = events(["distill", *whole])
    assert anywhere
    while killed < kills and not RunFolder(folder).is_finished():
        begun = (folder / "config.yaml").exists()
        arguments = ["resume", str(folder)] if begun else ["distill", *words({**settings, **OFTEN, "out": folder})]
        if killed % 3 == 2:
            ended = events(arguments, WRITE, draw.randrange(1, 200))
        else:
            ended = events(arguments, RUN, draw.randrange(1, 2 * anywhere // steps))
        killed += ended is None
    if not RunFolder(folder).is_finished():
        events(["resume", str(folder)])
    return killed
