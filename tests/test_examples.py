"""Every example runs as it is, offline, and says what it did."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

LINES = {
    "own_loop.py": r"fitnets, stage kd: \d+ tensors trained, ce, kd, logits \(8, 10\)",
    "losses_only.py": r"ce \d+\.\d{4}, attention \d+\.\d{4}, hint \d+\.\d{4}",
}


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(LINES)


@pytest.mark.parametrize("name", LINES)
def test_example(name: str, tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, str(EXAMPLES / name)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert any(re.fullmatch(LINES[name], line) for line in done.stdout.splitlines()), done.stdout
    assert not list(tmp_path.iterdir())
