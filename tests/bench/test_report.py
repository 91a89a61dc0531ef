"""``tutelage bench`` measures every variant there is, says why others are missing, and leaves nothing behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from harness.marks import quickly
from tutelage import TutelageError
from tutelage.bench import bench
from tutelage.bench.timing import PARTS, Timing, speed_ratio, take_turns
from tutelage.cli import app
from tutelage.training.loop import GradientWatch

SMALL: dict[str, Any] = {
    "data": {"name": "digits", "fraction": 0.3},
    "teacher": "resnet14",
    "student": "resnet8",
    "batch_size": 32,
    "precision": "fp32",
    "compile": "off",
    "device": "cpu",
    "turns": 1,
    "steps": 2,
}
ALL = {"live", "cached", "floor_live", "floor_student"}


def test_kd_has_every_variant_and_leaves_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "figures" / "bench.json"
    report = bench(**SMALL, method="kd", out=out)
    assert report.images_per_second.keys() == ALL and not report.missing
    assert all(speed > 0 for speed in report.images_per_second.values())
    speeds = report.images_per_second
    for name, ratio in report.ratios.items():
        of, over = name.split("/")
        assert ratio == pytest.approx(speeds[of] / speeds[over]), name  # one turn: its ratio is the ratio of medians
    assert tuple(report.milliseconds) == PARTS
    assert all(value > 0 for value in report.milliseconds.values())
    assert json.loads(out.read_text(encoding="utf-8")) == report.model_dump()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [out]


@pytest.mark.parametrize(
    ("method", "missing"),
    [("ofd", {"cached": "statistics of each batch"}), ("at_gradient", {"cached": "at_gradient"})],
)
@pytest.mark.chaos
def test_what_cannot_be_measured_is_named(method: str, missing: dict[str, str]) -> None:
    report = bench(**SMALL, method=method)
    assert report.missing.keys() == missing.keys()
    assert all(reason in report.missing[name] for name, reason in missing.items())
    assert report.images_per_second.keys() == ALL - missing.keys()


@pytest.mark.chaos
def test_a_staged_method_is_measured_in_its_first_stage_with_a_teacher() -> None:
    report = bench(**SMALL, method="fsp")
    assert report.stage == "fsp" and report.images_per_second.keys() == ALL


def test_the_verb_shows_ratios_and_where_the_time_goes(tmp_path: Path) -> None:
    words = ["data=digits", "data.fraction=0.3", "teacher=resnet14", "student=resnet8", "method=kd", "batch_size=32"]
    words += ["precision=fp32", "compile=off", "device=cpu", "turns=1", "steps=1", "--json", str(tmp_path / "b.json")]
    result = CliRunner().invoke(app, ["bench", *words])
    assert result.exit_code == 0, (result.output, result.exception)
    for part in ("resnet14 → resnet8, kd", "floor_live/live", "floor_student/cached", "data wait", "backward"):
        assert part in result.output
    assert (tmp_path / "b.json").is_file()


def test_mistakes_are_named() -> None:
    with pytest.raises(TutelageError, match="unknown key 'turn': did you mean turns"):
        bench(**SMALL, turn=3)


def test_variants_take_turns() -> None:
    taken: list[tuple[str, int]] = []
    variants = {name: lambda count, name=name: taken.append((name, count)) for name in ("a", "b")}
    timings = take_turns(variants, turns=2, steps=5, device=torch.device("cpu"))
    assert taken == [("a", 5), ("b", 5)] * 3
    assert all(len(timing.seconds) == 2 for timing in timings.values())


def test_ratios_are_of_the_turns_not_of_the_medians() -> None:
    slow, fast = Timing((4.0, 9.0, 10.0), None), Timing((2.0, 3.0, 10.0), None)
    assert speed_ratio({"slow": slow, "fast": fast}, "fast/slow") == 2.0
    assert slow.images_per_second(18) == 2.0


@pytest.mark.parametrize("switched_on", quickly([True, False], {"True"}))
def test_a_step_measures_gradients_as_a_run_would(switched_on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []
    look = GradientWatch.look
    monkeypatch.setattr(GradientWatch, "look", lambda *inputs: measured.append(look(*inputs)))
    bench(**SMALL, method="kd", log_every=2, log_gradients=switched_on)
    assert len(measured) == (4 if switched_on else 0)  # every second of four steps, live and cached
