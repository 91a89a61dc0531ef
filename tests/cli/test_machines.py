"""The command line on machines that are stopped, or whose locale is ASCII."""

from __future__ import annotations

import io
import shlex
import signal
import sys
from pathlib import Path

import pytest

from harness.processes import signal_after
from harness.runs import SMALL
from tutelage import train
from tutelage.cli import main
from tutelage.errors import EXIT_CODE
from tutelage.export.record import Record
from tutelage.training.display.plan import Plan

CODES = {signal.SIGTERM: EXIT_CODE, signal.SIGINT: 130}


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.chaos)])
def test_a_signal_before_training_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    settings = {**SMALL, "model": "resnet8", "out": str(tmp_path / "run")}
    code, shown = signal_after(number, 1, Plan, "add", "train", settings)
    assert code == CODES[number]
    assert shown.count("stopped") == 1 and "stopped before training began" in shown
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.chaos)])
def test_a_signal_during_an_export_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    train(**SMALL, model="resnet8", epochs=1, out=tmp_path / "run")
    out = {"out": str(tmp_path / "export"), "images": 16}
    code, shown = signal_after(number, 1, Record, "write", f"export {shlex.quote(str(tmp_path / 'run'))}", out)
    assert code == CODES[number]
    assert "stopped; nothing was exported and no partial files are left" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_an_ascii_terminal_gets_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "argv", ["tutelage", "inspect", "resnet8"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 0
    screen.seek(0)
    assert "\\xd7" in screen.read()
