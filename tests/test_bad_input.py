"""Mistakes of a user: one clear message that names the value, the place and the way out, before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import tutelage
from tutelage import TutelageError, distill, train
from tutelage.config import DistillSettings, TrainSettings, load
from tutelage.recipes import load_recipe

TINY: dict[str, Any] = {"data": "digits", "epochs": 1, "precision": "fp32", "device": "cpu", "batch_size": 256}


def image_folder(root: Path, classes: tuple[str, ...], count: int = 6) -> Path:
    """Writes a bare image folder of small random images."""
    draw = np.random.default_rng(0)
    for name in classes:
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUTELAGE_CACHE", str(tmp_path / "cache"))


def message(**config: Any) -> str:
    """Returns the error of a distillation that must not start, and checks that nothing was written for it."""
    with pytest.raises(TutelageError) as error:
        distill(**{**TINY, "student": "resnet8", "out": "run", **config})
    assert not Path("run").exists()
    return str(error.value)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["lerning_rate=1"], "unknown key 'lerning_rate'"),
        (["epoch=1"], "unknown key 'epoch': did you mean epochs"),
        (["optimizer.momentun=0.9"], "did you mean optimizer.momentum"),
        (["kd.temprature=2"], "did you mean kd.temperature"),
        (["at.tap={layer1: layer1}"], "did you mean at.taps"),
        (["data.sise=32"], "did you mean data.size"),
        (["method=kdd"], "unknown method 'kdd': did you mean kd"),
        (["method=kd+attention"], "unknown method 'attention'"),
        (["schedule=cosin"], "did you mean cosine"),
        (["precision=bf61"], "precision=bf61.*did you mean bf16"),
        (["epochs=0"], "epochs=0: Input should be greater than or equal to 1"),
        (["epochs=many"], "epochs=many"),
        (["optimizer.lr=nan"], "optimizer.lr"),
        (["optimizer.lr=.inf"], "optimizer.lr=inf"),
        (["kd.alpha=2"], "kd.alpha=2"),
        (["optimizer.betas=[2,3]"], "optimizer.betas"),
        (["data.view_seed=9223372036854775808"], "data.view_seed"),
        (["method=kd+"], "name is missing next to"),
        (["at.form=paper"], "at.weight"),
        (["student"], "'student' is neither key=value nor a YAML file"),
        (["missing.yaml"], "missing.yaml does not exist"),
        (["optimizer={lr: [}"], "not readable as YAML"),
        (["data=!!python/object/apply:os.system ['touch hacked']"], "not readable as YAML"),
    ],
)
def test_settings(words: list[str], expected: str) -> None:
    with pytest.raises(TutelageError, match=expected):
        load(DistillSettings, "data=digits", "student=resnet8", *words)
    assert not Path("hacked").exists()


def test_what_must_be_given_is_said() -> None:
    with pytest.raises(TutelageError, match="data is missing; set data=") as error:
        load(TrainSettings)
    assert "model is missing" in str(error.value)


def test_layers_and_short_forms() -> None:
    Path("file.yaml").write_text("epochs: 7\noptimizer: {lr: 0.3}\nteacher: runs/file\n")
    recipe = {"data": "cifar10", "epochs": 5, "optimizer": {"lr": 0.2, "momentum": 0.8}, "student": "resnet20"}
    settings = load(DistillSettings, recipe, "file.yaml", "data.size=32", "data=digits", "teacher.input_size=64")
    assert (settings.data.name, settings.data.size) == ("digits", 32)
    assert (settings.epochs, settings.optimizer.lr, settings.optimizer.momentum) == (7, 0.3, 0.8)
    assert (settings.teacher.name, settings.teacher.input_size) == ("runs/file", 64)
    assert settings.student.name == "resnet20" and settings.method == "kd"
    by_name = load(DistillSettings, recipe, "at.taps={layer1: layer2}", "method=kd+at")
    assert by_name.methods()["at"].taps == {"layer1": "layer2"}


def test_a_written_configuration_reads_back_the_same() -> None:
    from tutelage.config import dump

    settings = load(DistillSettings, "data=digits", "student=resnet8", "method=kd+at", "kd.temperature=2", "out=x")
    Path("config.yaml").write_text(dump(settings))
    assert load(DistillSettings, "config.yaml") == settings


def test_unknown_model_recipe_and_data() -> None:
    assert "resnet20" in message(student="resnet21", method="none")
    assert "timm/resnet18" in message(student="timm/resnet1888", method="none")
    assert "did you mean digits" in message(data="digitz", method="none")
    with pytest.raises(TutelageError, match="unknown recipe.*baseline/cifar10-resnet20"):
        load_recipe("baseline/cifar10-resnet21")


def test_a_method_without_its_teacher() -> None:
    assert "needs a teacher" in message(method="kd")
    assert "random weights" in message(method="kd", teacher="resnet20")
    assert "tutelage train" in message(method="kd", teacher="resnet20")


def test_a_teacher_of_other_classes() -> None:
    animals = str(image_folder(Path("animals"), ("cat", "dog", "owl")))
    train(**{**TINY, "data": animals}, model="resnet8", out="teacher")
    text = message(teacher="teacher", method="kd")
    assert "3 classes" in text and "10" in text and "tutelage train" in text and "method=at" in text
    others = str(image_folder(Path("others"), ("ant", "bee", "fly")))
    text = message(data=others, teacher="teacher", method="kd")
    assert "class 0 is 'cat' for the teacher and 'ant' in others" in text
    assert distill(**{**TINY, "data": others}, teacher="teacher", student="resnet8", method="at", out="run").top1 >= 0


def test_taps_that_do_not_exist() -> None:
    train(**TINY, model="resnet8", out="teacher")
    text = message(teacher="teacher", method="at", at={"taps": {"layer3": "layer9"}})
    assert "layer9" in text and "layer3" in text


def test_weights_files() -> None:
    Path("notes.pt").write_text("these are no weights")
    assert "notes.pt" in message(student={"name": "resnet8", "weights": "notes.pt"}, method="none")
    torch.save(tutelage.create_model("resnet14").state_dict(), "other.pt")
    assert "layer1.1.conv1.weight" in message(student={"name": "resnet8", "weights": "other.pt"}, method="none")
    assert "gone.pt" in message(student={"name": "resnet8", "weights": "gone.pt"}, method="none")


def test_folders_of_images() -> None:
    image_folder(Path("empty"), ("cat", "dog"))
    Path("empty/owl").mkdir()
    assert "owl" in message(data="empty", method="none")
    image_folder(Path("broken"), ("cat", "dog"))
    Path("broken/cat/2.png").write_bytes(Path("broken/cat/2.png").read_bytes()[:60])
    text = message(data="broken", method="none")
    assert str(Path("broken/cat/2.png")) in text and "data.skip_broken=true" in text
    skipping = {**TINY, "data": {"name": "broken", "skip_broken": True, "validation": 0.3}}
    with pytest.warns(UserWarning, match="skipped"):
        assert train(**skipping, model="resnet8", out="skipped").top1 >= 0


def test_images_of_every_mode_are_converted() -> None:
    image_folder(Path("modes"), ("cat", "dog"))
    for name, mode in (("0", "L"), ("1", "RGBA"), ("2", "P"), ("3", "LA"), ("4", "1")):
        path = Path(f"modes/cat/{name}.png")
        Image.open(path).convert(mode).save(path)
    assert train(**{**TINY, "data": "modes"}, model="resnet8", out="run").top1 >= 0


def test_a_run_folder_that_exists() -> None:
    train(**TINY, model="resnet8", out="old")
    before = Path("old/result.json").read_bytes()
    with pytest.raises(TutelageError, match="old exists.*overwrite=true.*tutelage resume old"):
        train(**TINY, model="resnet8", out="old")
    assert Path("old/result.json").read_bytes() == before
    train(**TINY, model="resnet8", seed=1, out="old", overwrite=True)
    assert '"seed": 1' in Path("old/result.json").read_text()
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("years of work")
    with pytest.raises(TutelageError, match="not a run folder"):
        train(**TINY, model="resnet8", out="mine", overwrite=True)
    assert Path("mine/thesis.txt").read_text() == "years of work"
