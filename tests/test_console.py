"""What is printed while something takes its time: rows on a terminal, plain lines elsewhere, results apart."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from rich.console import Console

from harness.terminal import on_a_terminal
from tutelage import console
from tutelage.console import build_console, duration, is_main_process, live_rows, phase

LAZY = (
    *("timm", "torchvision", "accelerate", "tensorboard", "huggingface_hub.hf_api"),
    *("torch._dynamo", "torch._inductor", "torch.distributed.fsdp"),
)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Announces every phase at once; the event is set as soon as that is printed."""
    printed = threading.Event()
    original = Console.print

    def tell(self: Console, *what: object, **how: object) -> None:
        original(self, *what, **how)  # type: ignore[arg-type]
        printed.set()

    monkeypatch.setattr(console, "PATIENCE", 0.0)
    monkeypatch.setattr(Console, "print", tell)
    return printed


def test_a_pipe_gets_a_line_when_a_phase_takes_long_and_one_when_it_is_done(
    impatient: threading.Event, capsys: pytest.CaptureFixture[str]
) -> None:
    with phase("reading [cats]", 3) as advance:
        advance(1)
        impatient.wait()
    shown = capsys.readouterr()
    assert shown.out == ""
    first, second = shown.err.splitlines()
    assert first == "reading [cats] ..."
    assert second.startswith("reading [cats]: ")
    assert shown.err.isascii() and "\x1b" not in shown.err and "\r" not in shown.err


def test_a_pipe_is_told_how_far_a_long_phase_is(
    impatient: threading.Event, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "INTERVAL", 0.0)
    with phase("reading", 4000) as advance:
        advance(1000)
        impatient.wait()
        impatient.clear()
        impatient.wait()
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("reading: 1,000/4,000  ") and " left  " in line for line in lines)


def test_a_phase_that_is_soon_done_prints_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "PATIENCE", 3600.0)
    with phase("reading"):
        pass
    assert capsys.readouterr() == ("", "")


def test_an_error_ends_a_phase_without_a_word_of_success(
    impatient: threading.Event, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyboardInterrupt), phase("reading"):
        impatient.wait()
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "reading ...\n"


@pytest.mark.parametrize("name", console.RANKS)
def test_processes_after_the_first_are_silent(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], impatient: threading.Event
) -> None:
    monkeypatch.setenv(name, "1")
    assert not is_main_process()
    with phase("reading", 1) as advance:
        advance(1)
    build_console().print("a result")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv(name, "0")
    assert is_main_process()


def test_phases_within_phases_share_one_display() -> None:
    screen = Console(file=io.StringIO(), force_terminal=True)
    with live_rows(screen) as outer:
        with live_rows(Console(file=io.StringIO(), force_terminal=True)) as inner:
            assert inner is outer
        assert outer.live.is_started
    with live_rows(screen) as later:
        assert later is not outer


def test_a_terminal_shows_a_bar_with_rate_and_remaining_time_and_a_spinner_with_the_elapsed() -> None:
    program = """
from tutelage.console import build_console, live_rows, phase
import tutelage.console as console
with phase("decoding images", 1000) as advance:
    for _ in range(5):
        advance(100)
        console._rows.refresh()
    build_console().print("a line above")
    with phase("compiling"):
        console._rows.refresh()
"""
    shown = on_a_terminal([sys.executable, "-c", program], columns=80)
    assert "500/1,000" in shown and " left" in shown and "/s" in shown
    assert "compiling" in shown and " ms" in shown
    assert "a line above" in shown


def test_results_stay_in_the_file_that_stdout_goes_to(tmp_path: Path) -> None:
    program = """
from tutelage.console import build_console, phase
with phase("decoding images", 10):
    build_console().print("a result")
"""
    out = tmp_path / "out.txt"
    shown = on_a_terminal([sys.executable, "-c", program], columns=80, stdout=out)
    assert out.read_text() == "a result\n"
    assert "decoding images" in shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0123, "12 ms"),
        (4.21, "4.2 s"),
        (42.4, "42 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 05 min"),
        (3599.7, "1 h 00 min"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """Returns which of the slow libraries ``tutelage distill`` imports before it has read its settings."""
    program = f"import sys, tutelage.cli.train; print(*(set({LAZY}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("library", LAZY)
def test_slow_libraries_are_imported_when_they_are_needed(imported: set[str], library: str) -> None:
    assert library not in imported


def test_the_command_line_says_what_it_does_before_pytorch_is_there() -> None:
    program = """
import builtins, sys
original = builtins.__import__
def refuse(name, *rest, **named):
    if name == "torch":
        raise SystemExit("PyTorch is asked for")
    return original(name, *rest, **named)
builtins.__import__ = refuse
sys.argv = ["tutelage", "distill"]
from tutelage.cli import main
main()
"""
    shown = on_a_terminal([sys.executable, "-c", program], columns=80)
    assert 0 <= shown.index("tutelage distill: loading PyTorch") < shown.index("PyTorch is asked for")
