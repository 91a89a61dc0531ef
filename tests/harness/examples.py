"""Scripts run as a user runs them, each in a process of its own that need not import torch first."""

from __future__ import annotations

import os
import runpy
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from harness.processes import FORKED, settle


def run_script(path: Path, folder: Path) -> str:
    """Runs ``path`` in ``folder`` and returns what it said."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as said:
        process = FORKED.Process(target=_run, args=(path, folder, said.name))
        process.start()
        process.join()
        text = said.read()
    assert process.exitcode == 0, text
    return text


def _run(path: Path, folder: Path, said: str) -> None:
    settle()
    os.chdir(folder)
    sys.path.insert(0, str(path.parent))
    sys.argv = [str(path)]
    with open(said, "w", buffering=1, encoding="utf-8") as out, redirect_stdout(out), redirect_stderr(out):
        runpy.run_path(str(path), run_name="__main__")
