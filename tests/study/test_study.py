"""Whole studies on embedded data: worked through, cut, continued; searches and choices."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.runs import SMALL
from harness.teachers import train_teachers
from tutelage import TutelageError, distill
from tutelage.config import DistillSettings, load
from tutelage.study import choose, read_study, search, study
from tutelage.study.grid import cells_of
from tutelage.study.runs import train_cells
from tutelage.study.search import Candidate, Round, default_candidates, expected_seconds, round_lengths, survivors
from tutelage.study.settings import StudySettings, read_settings
from tutelage.study.workers import start_workers
from tutelage.training import Result


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("study")
    os.environ["TUTELAGE_CACHE"] = str(folder / "cache")
    (teacher,) = train_teachers(folder / "teacher", SMALL, epochs=2, count=1)
    return {**SMALL, "teacher": str(teacher), "student": "resnet8", "epochs": 2}


def test_a_study(shared: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two methods, two seeds, two at a time; what is finished stays, what was cut goes on, more can be added."""
    out = tmp_path / "out"
    grid = {"grid": {"method": ["none", "kd"]}, "seeds": 1, "workers": 2, "out": str(out)}
    whole = distill(**shared, method="kd", out=out / "runs" / "kd-0", cache={"views": "all"})
    # As it is where a run was cut before its first checkpoint.
    cut = Path(whole.folder)
    for name in ("result.json", "checkpoints/last"):
        (cut / name).unlink()
    (out / "study.yaml").touch()
    first = study(shared, grid)
    assert [str(run) for run in first.runs] == ["runs/none-0", "runs/kd-0"]
    assert Result.read(cut).top1 == whole.top1
    assert "resuming" in cut.with_name("kd-0.log").read_text()
    before = (cut / "result.json").stat().st_mtime_ns
    again = study(shared, grid, {"seeds": 2})
    assert (cut / "result.json").stat().st_mtime_ns == before
    assert {row.method: len(row.top1) for row in again.rows} == {"none": 2, "kd": 2}
    assert again.rows[0].macs and again.rows[0].latency and read_study(out) == again
    assert "kd-1" in capsys.readouterr().out and (out / "table.md").read_text().count("\n| ") == 3
    settings = yaml.safe_load((out / "study.yaml").read_text())
    assert settings["seeds"] == 2 and settings["epochs"] == 2
    with pytest.raises(TutelageError, match="was trained with epochs=2, and this study has epochs=3"):
        study(shared, grid, {"epochs": 3})


@pytest.mark.chaos
def test_a_run_that_fails_does_not_stop_the_others(shared: dict[str, Any], tmp_path: Path) -> None:
    grid = {"grid": {"optimizer.lr": [0.05, 1e30]}, "seeds": 1, "method": "none", "out": str(tmp_path / "out")}
    done = study({**shared, "epochs": 1}, grid)
    (name,) = done.failed
    assert "1e" in name and "non-finite" in done.failed[name] or "not finite" in done.failed[name]
    assert [row.setting for row in done.rows] == ["optimizer.lr=0.05"]


def test_a_study_that_cannot_work_writes_nothing(shared: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(TutelageError, match="kd-0: .*runs/nowhere"):
        study({**shared, "teacher": "runs/nowhere"}, {"grid": {"method": ["kd"]}, "out": str(tmp_path / "out")})
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(TutelageError, match="not a study"):
        study(shared, {"out": str(tmp_path)})


@pytest.mark.chaos
def test_a_search_is_on_validation_and_goes_on(shared: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    space = {"kd.temperature": {"low": 1, "high": 8, "log": True}, "kd.alpha": ["0.5", "0.9"]}
    ours = {**shared, "epochs": 1, "method": "kd", "space": space, "out": str(out)}
    (only,) = search(ours, {"trials": 1})
    trials = search(ours, {"trials": 3, "workers": 2})
    assert only in trials and len(trials) == 3
    assert [trial.validation_top1 for trial in trials] == sorted(
        (Result.read(out / "runs" / trial.name).validation_top1 for trial in trials), reverse=True
    )
    best = load(DistillSettings, out / "best.yaml")
    assert best.kd.temperature == pytest.approx(trials[0].values["kd.temperature"])  # type: ignore[attr-defined]
    with pytest.raises(TutelageError, match="never on test"):
        search(ours, {"data.validation": 0, "out": str(tmp_path / "other")})
    with pytest.raises(TutelageError, match="set {low: 1, high: 8}"):
        search(ours, {"space": {"kd.alpha": 0.5}})


@pytest.mark.chaos
def test_a_choice_within_a_time(shared: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    candidates = {"grid": {"method": ["none", "kd"]}, "out": str(out)}
    chosen = choose({**shared, "epochs": 3}, candidates, {"budget": "1h", "workers": 2})
    assert [(done.epochs, len(done.candidates)) for done in chosen.rounds] == [(1, 2), (3, 1)]
    assert chosen.best.label == chosen.rounds[0].candidates[0].label
    assert load(DistillSettings, out / "best.yaml").method == chosen.best.label
    assert json.loads((out / "choice.json").read_text())["best"]["label"] == chosen.best.label
    short = choose({**shared, "epochs": 3}, candidates, {"budget": "0.001s"})
    assert len(short.rounds) == 1 and "more minutes: 3 epochs of" in short.next_step
    assert short.next_step in capsys.readouterr().out
    with pytest.raises(TutelageError, match="no candidate finished its first 1 epochs"):
        choose({**shared, "epochs": 3}, candidates, {"budget": "0.001s", "out": str(tmp_path / "other")})
    with pytest.raises(TutelageError, match="as in 30m"):
        choose(shared, {"budget": "soon"})


def test_when_the_time_is_up_no_further_run_starts(shared: dict[str, Any], tmp_path: Path) -> None:
    """What is finished counts; what was under way is stopped, and resumes in the next call."""
    own, rest = read_settings(
        StudySettings, shared, {"grid": {"optimizer.lr": [0.1, 0.2, 0.3]}, "seeds": 1, "method": "none"}
    )
    cells = cells_of(own.model_copy(update={"out": tmp_path}), {**rest, "epochs": 1})
    first, _, last = (cell.settings.out for cell in cells)
    with start_workers(1) as pool:
        assert train_cells(cells, pool, lambda: (first / "result.json").exists()) == {}
    assert Result.read(first).epochs == 1 and not (last / "result.json").exists()
    with start_workers(1) as pool:
        assert train_cells(cells, pool, lambda: True) == {}
    assert not (last / "result.json").exists()


def test_the_time_of_the_next_round_goes_by_the_pace_of_the_last() -> None:
    seconds = [3.0, 6.0, 9.0, 5.0, 5.0, 5.0, 5.0]
    ranked = [Candidate(label="", values={}, validation_top1=9 - n, seconds=s) for n, s in enumerate(seconds)]
    done = Round(epochs=3, candidates=ranked)
    # The best three of seven, at 1, 2 and 3 seconds per epoch.
    assert expected_seconds(done, 10, workers=1) == 10 * (1 + 2 + 3)
    assert expected_seconds(done, 10, workers=2) == 10 * 3
    assert expected_seconds(done, 10, workers=9) == 10 * 3  # no sooner than the slowest


def test_default_weights_come_before_others(shared: dict[str, Any]) -> None:
    candidates = default_candidates()
    assert len(candidates) == 21
    assert {candidate["method"] for candidate in candidates[:9]} == {candidate["method"] for candidate in candidates}
    assert all(candidate.keys() == {"method"} for candidate in candidates[:9])
    assert [candidate["at.weight"] for candidate in candidates[9:] if candidate["method"] == "kd+at"] == [100, 10000]
    for candidate in candidates:
        load(DistillSettings, shared, candidate)


def test_rounds_of_halving() -> None:
    assert round_lengths(30, {"a": range(21)}) == [1, 3, 10, 30]
    assert round_lengths(30, {"a": range(2), "b": range(1)}) == [10, 30]
    assert round_lengths(2, {"a": range(9)}) == [1, 2]
    ranked = [Candidate(label=str(place), values={}, validation_top1=9 - place, seconds=1) for place in range(7)]
    assert [candidate.label for candidate in survivors(Round(epochs=1, candidates=ranked))] == ["0", "1", "2"]


@pytest.mark.chaos
def test_a_teacher_is_fine_tuned_once_for_all_runs(shared: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    teacher = {"name": shared["teacher"], "finetune": "head", "epochs": 1}
    done = study(
        {**shared, "epochs": 1, "teacher": teacher}, {"grid": {"method": ["none", "kd"]}, "seeds": 2, "out": str(out)}
    )
    (place,) = (out / "teachers").iterdir()
    assert Result.read(place).epochs == 1
    assert {yaml.safe_load((out / run / "config.yaml").read_text())["teacher"]["name"] for run in done.runs} == {
        str(place)
    }
