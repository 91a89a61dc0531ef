"""Models and data meet by the names of their classes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tutelage import distill, evaluate, train
from tutelage.data import DataSettings, load_digits, open_data
from tutelage.errors import TutelageError
from tutelage.export.check import measured_split
from tutelage.models import create_model
from tutelage.runs.student import load_student
from tutelage.students import compare
from tutelage.training.job.classes import class_places, match_data

pytestmark = pytest.mark.filterwarnings("ignore:the (test|validation) split")
QUICK: dict[str, Any] = {"precision": "fp32", "compile": "off", "device": "cpu", "loggers": [], "batch_size": 20}


def put(root: Path, digits: dict[str, int], first: int, count: int) -> None:
    images, labels = load_digits()
    for name, digit in digits.items():
        (root / name).mkdir(parents=True)
        for place, grey in enumerate(images[labels == digit][first : first + count]):
            Image.fromarray((grey * 15.9).astype(np.uint8)).resize((16, 16)).save(root / name / f"{place:02}.png")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run on three digits, and data with their classes in another order, with fewer, and with others."""
    folder = tmp_path_factory.mktemp("classes")
    put(folder / "trained", {"eight": 8, "one": 1, "zero": 0}, 0, 60)
    tests = {
        "same": {"eight": 8, "one": 1, "zero": 0},
        "numbered": {"1_zero": 0, "2_one": 1, "3_eight": 8},
        "renamed": {"Zero": 0, "ONE": 1, "eight": 8},
        "fewer": {"one": 1, "zero": 0},
        "others": {"one": 1, "two": 2, "zero": 0},
    }
    for name, digits in tests.items():
        put(folder / name / "train", digits, 60, 20)
        put(folder / name / "test", digits, 80, 90)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUTELAGE_CACHE", str(folder / "cache"))
        data = {"name": str(folder / "trained"), "flip": False}
        train(data=data, model="resnet8", epochs=2, out=folder / "run", **QUICK)
        yield folder


@pytest.mark.parametrize("name", ["numbered", "renamed"])
def test_another_order_gives_the_same_accuracy_everywhere(folder: Path, name: str) -> None:
    wanted, found = (evaluate(model=str(folder / "run"), data={"name": str(folder / n)}) for n in ("same", name))
    assert found == pytest.approx(wanted) and wanted["top1"] > 50
    rows = compare([folder / "run"], data={"name": str(folder / name)}).rows
    assert rows[0].top1 == pytest.approx(wanted["top1"])
    _, split = measured_split(load_student(folder / "run"), open_data(DataSettings(name=str(folder / name))), None)
    assert split.labels.bincount().tolist() == [split.labels.eq(label).sum().item() for label in range(3)]
    assert split.labels[0] == {"numbered": 2, "renamed": 1}[name]


def test_fewer_classes_are_scored_on_those_there_are(folder: Path) -> None:
    found = evaluate(model=str(folder / "run"), data={"name": str(folder / "fewer")})
    network = create_model(str(folder / "run")).eval()
    data = open_data(DataSettings(name=str(folder / "fewer")))
    assert data.test is not None
    images = torch.from_numpy(data.test.samples.images[data.test.rows]) / 255  # type: ignore[attr-defined]
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (network.spec.mean, network.spec.std))
    with torch.no_grad():
        hits = network((images - mean) / std).argmax(1) == data.test.labels + 1
    assert found["top1"] == pytest.approx(100 * hits.float().mean().item(), abs=1e-3)


def test_other_classes_are_refused_everywhere(folder: Path) -> None:
    data = {"name": str(folder / "others")}
    for call in (
        lambda: evaluate(model=str(folder / "run"), data=data),
        lambda: compare([folder / "run"], data=data),
        lambda: measured_split(load_student(folder / "run"), open_data(DataSettings(**data)), None),
    ):
        with pytest.raises(TutelageError, match="do not have the same classes: class 'two' is not among the model's 3"):
            call()


@pytest.mark.parametrize("name, epochs", [("numbered", 1), ("fewer", 1)])
def test_a_teacher_and_a_student_from_a_run_take_the_order_of_the_data(folder: Path, name: str, epochs: int) -> None:
    out = folder / f"student of {name}"
    data = {"name": str(folder / name), "flip": False, "validation": 0.3}
    result = distill(data=data, teacher=folder / "run", student=folder / "run", epochs=epochs, out=out, **QUICK)
    notes = json.loads((out / "teacher.json").read_text())["notes"]
    assert any("by name" in note for note in notes)
    alone = evaluate(model=str(folder / "run"), data={"name": str(folder / ("same" if name == "numbered" else name))})
    assert result.teacher_top1 is not None and result.teacher_top1 >= alone["top1"] - 1e-3
    if name == "numbered":  # the student began with its classifier in the right order
        assert result.teacher_top1 == pytest.approx(alone["top1"]) and result.top1 is not None and result.top1 > 50


def test_a_teacher_of_other_classes_is_no_teacher_of_logits(folder: Path) -> None:
    with pytest.raises(TutelageError, match="the teacher's classes differ from the data's"):
        distill(data=str(folder / "others"), teacher=folder / "run", student="resnet8", out=folder / "no", **QUICK)


def test_models_without_names_are_taken_in_order(folder: Path) -> None:
    assert class_places(["b", "a"], None, 2) == [0, 1]
    assert class_places(["b", "cafe\u0301"], ["caf\u00e9", "b"], 2) == [1, 0]
    with pytest.raises(TutelageError, match="the model has 3 classes without names, and the data have 2 classes"):
        class_places(["b", "a"], None, 3)
    with pytest.raises(TutelageError, match="class '1' is not among"):
        class_places(["0", "1"], ["cat", "dog"], 2)
    data = open_data(DataSettings(name=str(folder / "fewer")))
    assert match_data(data, ["one", "zero"], 2, "model") is data


def test_a_checkpoint_that_names_its_classes_is_measured_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUTELAGE_CACHE", str(tmp_path / "cache"))
    for split in ("train", "test"):
        put(tmp_path / "set" / split, {"a": 0, "b": 1, "c": 2}, 0, 8)
    network = create_model("resnet8", 3)
    found = []
    for order in (["a", "b", "c"], ["c", "a", "b"]):
        state = network.state_dict()
        rows = [["a", "b", "c"].index(name) for name in order]
        head = {name: state[name][rows] for name in ("fc.weight", "fc.bias")}
        torch.save({"state_dict": {**state, **head}, "classes": order}, tmp_path / "file.pth")
        model = {"name": "resnet8", "weights": str(tmp_path / "file.pth")}
        found.append(evaluate(model=model, data=str(tmp_path / "set"), device="cpu")["loss"])
    assert found[0] == pytest.approx(found[1])


def test_data_without_splits_are_measured_as_a_whole_unless_the_run_was_trained_on_them(folder: Path) -> None:
    run, trained, others = folder / "run", folder / "trained", folder / "same" / "test"
    own = evaluate(model=str(run), device="cpu")
    assert (own["split"], own["count"]) == ("validation", 18)
    assert evaluate(model=str(run), data=str(trained), device="cpu") == own
    (folder / "link").symlink_to(trained)
    assert evaluate(model=str(run / "student"), data=str(folder / "link"), device="cpu")["loss"] == own["loss"]
    every = evaluate(model=str(run), split="all", device="cpu")
    assert (every["split"], every["count"]) == ("all", 180)
    found = evaluate(model=str(run), data=str(others), device="cpu")
    assert (found["split"], found["count"]) == ("all", 270)
    compared = compare([run / "student"], data=str(others))
    assert (compared.split, compared.images) == ("all", 270)
    assert compare([run / "student"], data=str(trained)).images == 18
    assert evaluate(model=str(run), data=str(others), split="validation", device="cpu")["count"] == 27
    with pytest.raises(TutelageError, match="split=all: same has no such split; use one of test, train"):
        evaluate(model=str(run), data=str(folder / "same"), split="all", device="cpu")
