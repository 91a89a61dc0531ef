"""Mistakes on the command line: exit code 2, one message on standard error, no traceback, nothing written or lost."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import tutelage
from tutelage.cli import main

TINY = ["data=digits", "data.fraction=0.2", "epochs=1", "precision=fp32", "device=cpu", "batch_size=256"]
STUDENT = [*TINY, "student=resnet8", "out=run"]

Fail = Callable[..., str]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher of digits, and one of three animals."""
    folder = tmp_path_factory.mktemp("runs")
    draw = np.random.default_rng(0)
    for name in ("cat", "dog", "owl"):
        (folder / "animals" / name).mkdir(parents=True)
        for number in range(6):
            pixels = draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "animals" / name / f"{number}.png")
    small = {"epochs": 1, "precision": "fp32", "device": "cpu", "batch_size": 256, "model": "resnet8"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUTELAGE_CACHE", str(folder / "cache"))
        tutelage.train(data={"name": "digits", "fraction": 0.2}, out=folder / "digits", **small)
        tutelage.train(data=folder / "animals", out=folder / "three", **small)
    return folder


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUTELAGE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Fail:
    """Runs a command that must fail before training, and returns its message."""

    def run(*words: str) -> str:
        before = sorted(path for path in tmp_path.rglob("*") if "cache" not in path.parts)
        monkeypatch.setattr(sys, "argv", ["tutelage", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 2
        shown = capsys.readouterr()
        assert not shown.out, "nothing but the error is shown"
        assert shown.err.startswith("error: ")
        assert "Traceback" not in shown.err
        assert sorted(path for path in tmp_path.rglob("*") if "cache" not in path.parts) == before
        return shown.err

    return run


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["distill", *STUDENT, "epoch=3"], ["unknown key 'epoch'", "epochs"]),
        (["distill", *STUDENT, "kd.temprature=3"], ["kd.temprature", "kd.temperature"]),
        (["distill", *STUDENT, "method=kdd"], ["method=kdd", "did you mean kd or"]),
        (["distill", *STUDENT], ["needs a teacher", "teacher=RUN"]),
        (["distill", *STUDENT, "method=none", "data=digit"], ["data=digit", "did you mean digits?"]),
        (["distill", *STUDENT, "method=none", "student=resnet21"], ["student=resnet21", "resnet20"]),
        (["distill", *STUDENT, "teacher=runs/t"], ["teacher=runs/t", "no such folder"]),
        (["distill", *STUDENT, "teacher=resnet20"], ["teacher=resnet20", "random weights", "tutelage train data=…"]),
        (["train", *TINY, "model=resnet8", "model.weights=gone.pt", "out=run"], ["gone.pt", "no such file"]),
        (
            ["train", *TINY, "model=resnet8", "out=run", "student=resnet8"],
            ["unknown key 'student'", "known: accumulate, batch_size"],
        ),
        (["train", "gone.yaml"], ["gone.yaml does not exist"]),
        (["run", "quick/cifar10-resnet9"], ["unknown recipe", "quick/cifar10-resnet8"]),
        (["run", "my.yaml"], ["RECIPE is missing; usage: tutelage run RECIPE [KEY=VALUE]..."]),
        (["resume", "data=digits"], ["RUN is missing; usage: tutelage resume RUN"]),
        (["resume", "one", "two"], ["'two' is neither key=value nor a YAML file"]),
        (["data", "pakc", "data=digits"], ["unknown action 'pakc': did you mean pack?"]),
        (["list", "methods", "seed=3"], ["unknown key 'seed'"]),
        (["list", "methods", "--json=."], ["--json=. is a folder"]),
        (["run", "quick/cifar10-resnet8", *TINY, "out=run", "epoch=2"], ["epochs"]),
        (["resume", "gone"], ["gone is not a run folder"]),
        (["evaluate", "data=digits"], ["model is missing; set model=…"]),
        (["evaluate", "model=resnet8"], ["data is missing; set data=…"]),
        (["evaluate", "model=resnet8", "data=digits", "split=tset"], ["split=tset", "did you mean test?"]),
        (
            ["evaluate", "model=resnet8", "data=digits", "epochs=3"],
            ["unknown key 'epochs'", "did you mean data.sampling?"],
        ),
        (["inspect", "resnet9"], ["unknown model 'resnet9'", "resnet8"]),
        (["inspect", "resnet8", "size=0"], ["size=0", "greater than 0"]),
        (["inspect", "resnet8", "32"], ["'32' is neither key=value"]),
        (["list", "model"], ["unknown kind 'model'", "models"]),
        (["quickstart", "seed=3"], ["unknown key 'seed'", "did you mean seeds?"]),
    ],
    ids=lambda value: " ".join(word for word in value if word not in STUDENT) if isinstance(value, list) else "",
)
def test_mistakes(words: list[str], parts: list[str], fail: Fail) -> None:
    text = fail(*words)
    assert all(part in text for part in parts), text


def test_taps_by_hand(fail: Fail, runs: Path) -> None:
    distill = ["distill", *STUDENT, "method=at", f"teacher={runs / 'digits'}"]
    assert "no tap 'layer9' in this network: did you mean layer" in fail(*distill, "at.taps={layer9: layer1}")
    assert "no tap 'layer4' in this network" in fail(*distill, "at.taps={layer1: layer4}")
    assert "'layer1' twice" in fail(*distill, "at.taps={layer1: layer1, layer2: layer1}")


def test_teachers_of_other_classes(fail: Fail, runs: Path) -> None:
    text = fail("distill", *STUDENT, f"teacher={runs / 'three'}")
    assert all(part in text for part in ("3 classes", "the data have 10", "tutelage train data=…", "method=at")), text
    for old, new in (("cat", "ant"), ("dog", "bee"), ("owl", "fly")):
        shutil.copytree(runs / "animals" / old, runs / "other" / new)
    text = fail("distill", *STUDENT, f"data={runs / 'other'}", "data.fraction=1", f"teacher={runs / 'three'}")
    assert all(part in text for part in ("class 0 is 'cat' for the teacher", "'ant' in other", "tutelage train")), text


def test_weights_that_do_not_fit_or_are_none(fail: Fail) -> None:
    train = ["train", *TINY, "model=resnet8", "out=run"]
    Path("notes.pt").write_text("these are no weights")
    assert "'notes.pt': this is not a weights file" in fail(*train, "model.weights=notes.pt")
    torch.save(tutelage.create_model("resnet14").state_dict(), "other.pt")
    text = fail(*train, "model.weights=other.pt")
    assert all(part in text for part in ("model=resnet8", "other.pt", "unexpected", "layer1.1.conv1.weight")), text


def test_images_that_cannot_be_used(fail: Fail, runs: Path) -> None:
    train = ["train", *TINY, "model=resnet8", "out=run", "data.fraction=1"]
    Path("empty/cat").mkdir(parents=True)
    assert "class folder empty/cat has no images" in fail(*train, "data=empty")
    Path("none").mkdir()
    assert "none has no class folders" in fail(*train, "data=none")
    shutil.copytree(runs / "animals", "broken")
    Path("broken/dog/3.png").write_bytes(b"not an image")
    text = fail(*train, "data=broken")
    assert "broken/dog/3.png" in text
    assert "data.skip_broken=true" in text


def test_a_finished_run_is_neither_resumed_nor_overwritten(fail: Fail, runs: Path) -> None:
    run = runs / "digits"
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert f"{run} is finished: its result is in {run / 'result.json'}" in fail("resume", str(run))
    text = fail("train", *TINY, "model=resnet8", f"out={run}")
    assert all(part in text for part in (f"{run} exists", "overwrite=true", f"tutelage resume {run}")), text
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


@pytest.mark.parametrize("content", ["thesis.txt", "config.yaml", "checkpoints/best"])
def test_what_no_run_made_is_left_alone(content: str, fail: Fail) -> None:
    kept = Path("mine", content)
    kept.parent.mkdir(parents=True)
    kept.write_text("years: of work")
    for more in ([], ["overwrite=true"]):
        text = fail("train", *TINY, "model=resnet8", "out=mine", *more)
        assert "mine exists and is not a run folder" in text
        assert "set another out=…" in text
    assert kept.read_text() == "years: of work"
    assert "file exists" in fail("train", *TINY, "model=resnet8", f"out={_file('file')}", "overwrite=true")


def test_a_run_does_not_overwrite_what_it_reads(fail: Fail, runs: Path) -> None:
    teacher = runs / "digits"
    text = fail("distill", *TINY, "student=resnet8", f"teacher={teacher}", f"out={teacher}", "overwrite=true")
    assert f"out={teacher} contains {teacher / 'student'}, which this run reads" in text
    weights = teacher / "student" / "model.safetensors"
    text = fail("train", *TINY, "model=resnet8", f"model.weights={weights}", f"out={teacher}", "overwrite=true")
    assert f"contains {weights}" in text
    assert weights.is_file()


def test_no_arguments_show_how_to_ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["tutelage", "distill"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert "tutelage distill --help" in capsys.readouterr().err


def _file(name: str) -> str:
    Path(name).write_text("")
    return name
