"""Run folders that were edited, half written, or built to deceive: one message that names the file, no traceback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import tutelage
from hostile.conftest import Fail
from hostile.test_weights import Payload
from tutelage.runs.sealed import write_sealed


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of few images."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUTELAGE_CACHE", str(folder / "cache"))
        tutelage.train(
            data={"name": "digits", "fraction": 0.1},
            model="resnet8",
            epochs=2,
            precision="fp32",
            compile="off",
            device="cpu",
            out=folder / "run",
        )
    return folder / "run"


@pytest.fixture
def run(finished: Path) -> Path:
    """A copy of it, under ``run``."""
    return Path(shutil.copytree(finished, "run"))


@pytest.fixture
def unfinished(run: Path) -> Path:
    (run / "result.json").unlink()
    return run


Break = Callable[[Path], object]
DISTILL = "distill data=digits student=resnet8 teacher=run out=new"


def half(name: str) -> Break:
    def cut(run: Path) -> None:
        data = (run / name).read_bytes()
        (run / name).write_bytes(data[: len(data) // 2])

    return cut


def text(name: str, content: str) -> Break:
    return lambda run: (run / name).write_text(content)


def edited(name: str, **changes: object) -> Break:
    def edit(run: Path) -> None:
        content = json.loads((run / name).read_text())
        (run / name).write_text(json.dumps({**content, **changes}))

    return edit


BROKEN: dict[str, tuple[Break, str, str]] = {
    "config.yaml is empty": (text("config.yaml", ""), "report run", "run/config.yaml is empty"),
    "config.yaml is half of itself": (half("config.yaml"), "evaluate model=run", "config.yaml"),
    "config.yaml is a list": (text("config.yaml", "- 1\n"), "evaluate model=run", "holds a list"),
    "config.yaml has other keys": (text("config.yaml", "model: x\nfoo: 1"), "evaluate model=run", "unknown key 'foo'"),
    "config.yaml has a tag": (
        text("config.yaml", "model: !!python/object/apply:os.mkdir [hacked]\n"), "evaluate model=run", "os.mkdir"
    ),
    "config.yaml is a bomb": (
        text("config.yaml", "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
            f"b{n}: &b{n} [{','.join([f'*b{n - 1}' if n else '*a'] * 10)}]\n" for n in range(8)
        )), "evaluate model=run", "is an alias"
    ),
    "config.yaml names data that are gone": (
        lambda run: (run / "config.yaml").write_text(
            (run / "config.yaml").read_text().replace("name: digits", "name: /gone/away")
        ), "evaluate model=run", "data=/gone/away",
    ),
    "config.yaml is gone": (lambda run: (run / "config.yaml").unlink(), "report run", "has no config.yaml"),
    "result.json is half of itself": (half("result.json"), "report run", "run/result.json is damaged"),
    "result.json is empty": (text("result.json", ""), "report run", "run/result.json is damaged"),
    "result.json is a list": (text("result.json", "[]"), "report run", "run/result.json is damaged"),
    "result.json lacks a figure": (text("result.json", "{}"), "report run", "run/result.json is damaged"),
    "result.json has words for figures": (edited("result.json", top1="good"), "report run", "top1"),
    "result.json is null": (text("result.json", "null"), "report run", "run/result.json is damaged"),
    "metrics.jsonl has half a line within": (
        text("metrics.jsonl", '{"epoch": 1\n{"epoch": 2}\n'), "report run", "metrics.jsonl, line 1, is damaged"
    ),
    "metrics.jsonl has a number for a record": (text("metrics.jsonl", "3\n"), "report run", "line 1, is damaged"),
    "metrics.jsonl is binary": (
        lambda run: (run / "metrics.jsonl").write_bytes(b"\xff\xfe\n\0\n"), "report run", "line 1, is damaged"
    ),
    "environment.json is half of itself": (half("environment.json"), "report run", "environment.json is damaged"),
    "environment.json is a list": (text("environment.json", "[]"), "report run", "environment.json is damaged"),
    "teacher.json is half of itself": (text("teacher.json", '{"name": '), "report run", "teacher.json is damaged"),
    "student/config.json is gone": (
        lambda run: (run / "student/config.json").unlink(), "evaluate model=run", "neither a run"
    ),
    "student/config.json is half of itself": (half("student/config.json"), DISTILL, "student/config.json"),
    "student/config.json lies about its classes": (
        edited("student/config.json", num_classes=7), DISTILL, "names 10 classes, but num_classes is 7"
    ),
    "student/config.json has other names": (
        edited("student/config.json", label_names=list("abcdefghij")), DISTILL, "class 0 is 'a' for the teacher"
    ),
    "student/model.safetensors is half of itself": (half("student/model.safetensors"), DISTILL, "not a weights file"),
    "student/model.safetensors is gone": (
        lambda run: (run / "student/model.safetensors").unlink(), DISTILL, "there is no such file"
    ),
    "study.json is half of itself": (text("study.json", '{"title": '), "report run", "study.json is damaged"),
    "export.json is half of itself": (
        lambda run: ((run / "export").mkdir(), (run / "export/export.json").write_text('{"model"'),
                     (run / "export/model.onnx").write_bytes(b"x")),
        "predict run/export/model.onnx x.png", "export.json is damaged"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_finished_run_that_is_broken(name: str, run: Path, fail: Fail) -> None:
    damage, words, expected = BROKEN[name]
    damage(run)
    message = fail(*words.split())
    assert expected in message, message
    assert not Path("hacked").exists() and not Path("new").exists()


def test_class_names_are_those_of_the_model(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``classes.json`` is for people: nothing reads it."""
    (run / "classes.json").unlink()
    assert tutelage.evaluate(model=run)["top1"] >= 0


RESUMED: dict[str, tuple[Break, str]] = {
    "both checkpoints are damaged": (
        lambda run: [(run / "checkpoints" / name).write_bytes(b"x") for name in ("last", "before")],
        "no checkpoint is left to resume from",
    ),
    "the checkpoint is code, rightly sealed": (
        lambda run: [write_sealed(run / "checkpoints" / name, {"x": Payload()}) for name in ("last", "before")],
        "contains more than tensors and plain values",
    ),
    "the checkpoint is cut": (
        lambda run: [half(f"checkpoints/{name}")(run) for name in ("last", "before")],
        "no checkpoint is left to resume from",
    ),
    "the settings are another network's": (
        lambda run: (run / "config.yaml").write_text(
            (run / "config.yaml").read_text().replace("name: resnet8", "name: resnet99")
        ),
        "unknown model 'resnet99'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RESUMED)
def test_an_unfinished_run_that_is_broken(name: str, unfinished: Path, fail: Fail) -> None:
    damage, expected = RESUMED[name]
    damage(unfinished)
    assert expected in fail("resume", "run")
    assert not Path("hacked").exists()


def test_a_line_of_metrics_that_was_being_written_is_dropped(unfinished: Path) -> None:
    """A run that is killed may leave half a line."""
    lines = (unfinished / "metrics.jsonl").read_text().splitlines(keepends=True)
    (unfinished / "metrics.jsonl").write_text("".join(lines) + lines[-1][: len(lines[-1]) // 2])
    tutelage.resume(unfinished)
    assert len((unfinished / "metrics.jsonl").read_text().splitlines()) == len(lines)
