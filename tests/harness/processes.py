"""Processes forked from a server that has imported all they need: one costs milliseconds, not seconds of imports."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

import torch

FORKED = multiprocessing.get_context("forkserver")
# What a first run imports besides is named too: the first optimizer imports torch._dynamo, which takes seconds.
FORKED.set_forkserver_preload(
    [
        *("tutelage.study", "tutelage.export", "tutelage.report", "tutelage.training.engine"),
        *("torch.utils.tensorboard", "torch._dynamo", "accelerate", "timm"),
    ]
)


def settle() -> None:
    """Prepares a process: one thread, as networks and images here are small; nothing imported is looked at as garbage.

    Each run collects garbage, and looking through all modules each time would take a fifth of a short run.
    """
    torch.set_num_threads(1)
    gc.freeze()


def words(settings: dict[str, Any]) -> list[str]:
    """Returns settings as words of the command line."""
    return [f"{key}={json.dumps(value) if isinstance(value, dict) else value}" for key, value in settings.items()]


def in_process(work: Callable[..., None], *arguments: Any) -> int:
    """Does the work in a process of its own and returns its exit code."""
    process = FORKED.Process(target=work, args=arguments)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def kill_after(calls: int, owner: type, method: str, verb: str, settings: dict[str, Any]) -> str:
    """Starts ``tutelage VERB`` in a process of its own, kills it in mid-run, and returns what it had said.

    SIGKILL comes at the end of so many calls of the method ``owner.method``.
    """
    code, said = signal_after(signal.SIGKILL, calls, owner, method, verb, settings)
    assert code == -signal.SIGKILL, said
    return said


def signal_after(
    number: signal.Signals, calls: int, owner: type, method: str, verb: str, settings: dict[str, Any]
) -> tuple[int | None, str]:
    """Does the same with any signal, and returns the exit code too."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as said:
        arguments = (number, calls, owner, method, [*shlex.split(verb), *words(settings)], said.name)
        process = FORKED.Process(target=_run_and_signal, args=arguments)
        process.start()
        process.join()
        return process.exitcode, said.read()


def _run_and_signal(number: signal.Signals, calls: int, owner: type, method: str, words: list[str], said: str) -> None:
    from tutelage.cli import main

    settle()
    left, original = calls, getattr(owner, method)

    def call_and_signal(*arguments: Any) -> Any:
        nonlocal left
        answer = original(*arguments)
        left -= 1
        if not left:
            os.kill(os.getpid(), number)
        return answer

    setattr(owner, method, call_and_signal)
    sys.argv = ["tutelage", *words]
    with open(said, "w", buffering=1, encoding="utf-8") as out, redirect_stdout(out):
        main()
