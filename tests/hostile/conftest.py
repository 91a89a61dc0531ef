"""Every hostile test works in a folder of its own, with a cache of its own, and may ask what the command line says."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tutelage.cli import main

Fail = Callable[..., str]


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUTELAGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TUTELAGE_DATA", raising=False)


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Fail:
    """Runs a command that must fail as a mistake of the user's, and returns its message."""

    def run(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["tutelage", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        shown = capsys.readouterr()
        assert stop.value.code == 2, shown.err
        assert shown.err.startswith("error: ") and "Traceback" not in shown.err
        return shown.err

    return run
