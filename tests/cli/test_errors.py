"""What is shown of an error, and of a run that is stopped."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.processes import signal_after
from harness.runs import SMALL, STEPS
from tutelage import TutelageError
from tutelage.cli import VERBS, _explain, main
from tutelage.training.loop.step import Step


def test_debug_shows_the_trace(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["tutelage", "inspect", "resnet9", "--debug"])
    with pytest.raises(TutelageError, match="did you mean resnet8"):
        main()
    monkeypatch.setattr(sys, "argv", ["tutelage", "inspect", "resnet9"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2 and capsys.readouterr().err.startswith("error: ")


def test_an_unforeseen_error_is_short_and_says_how_to_see_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert _explain(RuntimeError("[bold]shape[/] 3 is not 4")) == 1
    shown = capsys.readouterr().err
    assert "RuntimeError: [bold]shape[/] 3 is not 4" in shown and "--debug" in shown


def test_a_stopped_run_says_how_to_go_on(tmp_path: Path) -> None:
    settings = {**SMALL, "model": "resnet8", "epochs": 3, "out": str(tmp_path / "run")}
    code, shown = signal_after(signal.SIGINT, STEPS + 1, Step, "__call__", "train", settings)
    assert code == 130
    assert "epoch   1" in shown and f"tutelage resume {tmp_path / 'run'}" in shown and "Traceback" not in shown
    assert (tmp_path / "run" / "checkpoints" / "last").is_file()


def test_help_does_not_wait_for_pytorch() -> None:
    lines = "import sys", "from tutelage.cli import app", "app(['--help'], standalone_mode=False)"
    script = "\n".join([*lines, "sys.exit('torch' in sys.modules)"])
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert all(verb.summary in shown for verb in VERBS.values())


@pytest.mark.parametrize(
    "number, more", [(errno.EROFS, ""), (errno.EACCES, "; to read, change the permissions (chmod)")]
)
def test_a_place_that_cannot_be_written_or_read_gets_a_remedy(
    number: int, more: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _explain(OSError(number, os.strerror(number), "/data/report.html")) == 1
    shown = capsys.readouterr().err
    remedy = "'/data/report.html'. To write, set out=…, or TUTELAGE_CACHE for the cache, to a writable folder"
    assert shown.count("\n") == 1 and shown.endswith(f"{remedy}{more}\n")
