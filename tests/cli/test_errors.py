"""What is shown of an error, and of a run that is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tutelage import TutelageError
from tutelage.cli import _explain, main


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
    """SIGINT, as Ctrl-C sends it, once the first epoch is finished."""
    words = "train data=digits data.fraction=0.1 model=resnet8 epochs=500 precision=fp32 compile=off device=cpu out=run"
    run = subprocess.Popen(
        [sys.executable, "-m", "tutelage", *words.split()],
        cwd=tmp_path,
        env=os.environ | {"TUTELAGE_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # As in a terminal: what is started in the background by a shell ignores it, and so do its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert run.stdout is not None
    shown = ""
    for line in run.stdout:
        shown += line
        if "epoch   1" in line:
            run.send_signal(signal.SIGINT)
    assert run.wait() == 130
    assert "stopped" in shown and "tutelage resume run" in shown and "Traceback" not in shown
    assert (tmp_path / "run" / "checkpoints" / "last").is_file()
