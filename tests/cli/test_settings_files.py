"""Every verb reads a settings file, whatever characters are in its path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from tutelage import TutelageError, train
from tutelage.cli import app
from tutelage.cli.verbs import VERBS
from tutelage.config import as_mapping, sort_words

NAMES = {"run": ["quick/cifar10-resnet8"], "inspect": ["resnet8"], "list": ["methods"], "data": ["pack"]}
PATHS = ["seed=1/config.yaml", "my study/kd+at, seed=1/config.yml", "Blüten/größe=klein/設定.yaml"]


def write(path: str, text: str) -> str:
    Path(path).parent.mkdir(parents=True)
    Path(path).write_text(text, encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUTELAGE_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_reads_a_file_whose_path_has_an_equals_sign(verb: str, path: str) -> None:
    # A list instead of settings is refused by name, which shows that the verb opened the file.
    names = NAMES.get(verb, ["photo.jpg"] * len(VERBS[verb].names))
    result = CliRunner().invoke(app, [verb, write(path, "[1]\n"), *names])
    assert isinstance(result.exception, TutelageError), (result.output, result.exception)
    assert f"{path} holds a list" in str(result.exception)


@pytest.mark.parametrize("path", PATHS)
def test_a_run_trains_from_such_a_file(path: str) -> None:
    text = "{data: {name: digits, fraction: 0.2}, model: resnet8, epochs: 1, device: cpu, precision: fp32, out: run}"
    result = CliRunner().invoke(app, ["train", write(path, text), "seed=7"])
    assert result.exit_code == 0, (result.output, result.exception)
    config = yaml.safe_load(Path("run/config.yaml").read_text(encoding="utf-8"))
    assert (config["data"]["name"], config["seed"]) == ("digits", 7)


def test_a_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write("a=b/c.yaml", "seed: 3\n")
    assert as_mapping("~/a=b/c.yaml") == {"seed": "3"}


def test_a_missing_file_is_reported_as_missing_and_a_value_stays_a_value() -> None:
    with pytest.raises(TutelageError, match="runs/seed=1/config.yaml does not exist"):
        as_mapping("runs/seed=1/config.yaml")
    assert as_mapping("student.weights=seed=1/model.yaml") == {"student": {"weights": "seed=1/model.yaml"}}


def test_names_are_told_from_settings(tmp_path: Path) -> None:
    words = ["runs/seed=1", "seed=2", "photo.jpg", "top=3", "data=runs/seed=1", "missing/top=3", "a=b/c.yaml"]
    (tmp_path / "seed=2").mkdir()
    assert sort_words(words) == (
        ["runs/seed=1", "seed=2", "photo.jpg", "missing/top=3"],
        ["top=3", "data=runs/seed=1", "a=b/c.yaml"],
    )


@pytest.mark.parametrize("words", [["predict", "RUN", "photo.jpg"], ["compare", "RUN"], ["report", "RUN"]])
def test_a_misspelled_setting_is_not_taken_for_a_path(words: list[str]) -> None:
    result = CliRunner().invoke(app, [*words, "dta=digits"])
    assert isinstance(result.exception, TutelageError) and "dta" in str(result.exception)
    assert "no such" not in str(result.exception)


def test_predict_finds_images_whose_path_has_an_equals_sign(tmp_path: Path) -> None:
    train(data={"name": "digits", "fraction": 0.1}, model="resnet8", epochs=1, device="cpu", out="seed=1", loggers=[])
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "top=3.png")
    result = CliRunner().invoke(app, ["predict", "seed=1", "top=3.png", "top=1"])
    assert result.exit_code == 0, result.exception
    assert result.output.splitlines()[0] == "top=3.png" and len(result.output.splitlines()) == 2
