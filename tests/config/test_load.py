"""From words, files and mappings to settings, and back."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tutelage import TutelageError
from tutelage.config import DistillSettings, TrainSettings, as_mapping, dump, keys, load, to_yaml
from tutelage.methods import METHODS, Method, Pair
from tutelage.terms import Stage

GIVEN = {"data": "digits", "student": "resnet8"}


def settings(*layers: Any) -> Any:
    return load(DistillSettings, GIVEN, *layers)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (TrainSettings, ["data=digits", "model=resnet8"]),
        (TrainSettings, ["data=digits", "model=resnet8", "model.weights=a.pt", "clip=0.1", "out=runs/x", "seed=3"]),
        (TrainSettings, ["data=2011_09_26", "data.scale=[0.2, 1]", "data.flip=no", "model=007", "out=1e3"]),
        (DistillSettings, ["data=digits", "student=resnet8", "teacher=runs/t", "optimizer.lr=1e-5", "schedule=step"]),
        (DistillSettings, ["data=digits", "student=resnet8", "method=none", "schedule.milestones=[1, 2.5]"]),
        (DistillSettings, ["data=digits", "student=resnet8", "at.taps={layer3.1.add: layer3.0.bn2, '0': yes}"]),
    ],
)
def test_what_is_written_reads_back_equal(kind: type, words: list[str], tmp_path: Path) -> None:
    chosen = load(kind, *words)
    (tmp_path / "config.yaml").write_text(dump(chosen), encoding="utf-8")
    assert load(kind, tmp_path / "config.yaml") == chosen


def test_later_layers_win(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("epochs: 2\nseed: 2\nclip: 2\noptimizer: {lr: 0.2}\n")
    recipe = {"epochs": 1, "seed": 1, "clip": 1, "batch_size": 1, "optimizer": {"lr": 0.1, "momentum": 0.1}}
    chosen = settings(recipe, tmp_path / "my.yaml", "clip=3", "epochs=3")
    assert (chosen.epochs, chosen.clip, chosen.seed, chosen.batch_size, chosen.log_every) == (3, 3.0, 2, 1, 50)
    assert (chosen.optimizer.lr, chosen.optimizer.momentum, chosen.optimizer.nesterov) == (0.2, 0.1, True)


@pytest.mark.parametrize(
    "words",
    [
        ["data.size=16", "data=digits", "teacher.input_size=64", "teacher=runs/t"],
        ["data=digits", "data.size=16", "teacher=runs/t", "teacher.input_size=64"],
        ["data={name: digits, size: 16}", "teacher={name: runs/t, input_size: 64}"],
        ["data=other", "data={size: 16}", "data=digits", "teacher={input_size: 64}", "teacher.name=runs/t"],
    ],
)
def test_a_section_and_its_bare_name_come_in_any_order(words: list[str]) -> None:
    chosen = load(DistillSettings, "student=resnet8", *words)
    assert (chosen.data.name, chosen.data.size) == ("digits", 16)
    assert (chosen.teacher.name, chosen.teacher.input_size) == ("runs/t", 64)


@pytest.mark.parametrize(
    "name", ["2011_09_26", "007", "3.50", "yes", "1e3", "0x10", "2020-01-01", "a=b", "12:30", "~/x"]
)
def test_names_are_taken_as_they_are_typed(name: str, tmp_path: Path) -> None:
    assert settings(f"data={name}").data.name == name
    assert settings(f"student.weights={name}").student.weights == name
    (tmp_path / "my.yaml").write_text(f"data: {name}\n")
    assert settings(tmp_path / "my.yaml").data.name == name


@pytest.mark.parametrize(
    ("word", "read", "value"),
    [
        ("epochs=010", lambda s: s.epochs, 10),
        ("epochs='7'", lambda s: s.epochs, 7),
        ("optimizer.lr=1e-3", lambda s: s.optimizer.lr, 1e-3),
        ("overwrite=true", lambda s: s.overwrite, True),
        ("data.flip=no", lambda s: s.data.flip, False),
        ("data.flip=null", lambda s: s.data.flip, None),
        ("clip=", lambda s: s.clip, None),
        ("teacher=null", lambda s: s.teacher, None),
        ("optimizer.betas=[0.8, 0.9]", lambda s: s.optimizer.betas, (0.8, 0.9)),
        ("schedule.milestones=[]", lambda s: s.schedule.milestones, ()),
        ("method=at + kd", lambda s: s.method, "at+kd"),
        ("out=~/x", lambda s: s.out, Path.home() / "x"),
    ],
)
def test_values(word: str, read: Any, value: Any) -> None:
    assert read(settings("teacher=runs/t", word)) == value


def test_names_of_taps_keep_their_dots() -> None:
    taps = {"layer3.1.add": "layer3.0.bn2", "features.3": "0"}
    assert settings("at.taps={layer3.1.add: layer3.0.bn2, features.3: 0}").at.taps == taps
    assert settings({"at": {"taps": taps}}).at.taps == taps
    assert settings("at.taps.layer3.1.add=layer3.0.bn2", "at.taps.features.3=0").at.taps == taps


def test_chosen_taps_replace_earlier_ones() -> None:
    chosen = settings({"at": {"taps": {"layer1": "layer1"}, "p": 3}}, "at.taps={layer2: layer2}")
    assert chosen.at.taps == {"layer2": "layer2"}
    assert chosen.at.p == 3


def test_paths_may_be_given_as_paths(tmp_path: Path) -> None:
    student = {"name": "resnet8", "weights": tmp_path / "w.pt"}
    chosen = load(
        DistillSettings, {"data": {"name": tmp_path}, "student": student, "teacher": tmp_path, "out": tmp_path}
    )
    assert (chosen.data.name, chosen.teacher.name, chosen.out) == (str(tmp_path), str(tmp_path), tmp_path)
    assert chosen.student.weights == str(tmp_path / "w.pt")


def test_a_layer_is_not_changed() -> None:
    recipe = {"data": {"name": "cifar10"}, "student": "resnet8", "at": {"taps": {"layer1": "layer1"}}}
    load(DistillSettings, recipe, "data=digits", "at.taps.layer2=layer2")
    assert recipe == {"data": {"name": "cifar10"}, "student": "resnet8", "at": {"taps": {"layer1": "layer1"}}}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"- epochs\n- 3\n", "holds a list"),
        (b"epochs\n", "holds a str"),
        (b"\xff\xfe\x00\x81", "not readable as YAML"),
        (b"seed: 1\nepochs: [3\n", "line 3"),
        (b"epochs: 3\n---\nepochs: 4\n", "single document"),
        (b"1: 2\n", "unknown key '1'"),
        (b"out: !!python/object/apply:os.system ['touch hacked']\n", "python/object/apply:os.system"),
        (b"out: !!python/name:os.system\n", "python/name:os.system"),
        (b"epochs: !!int x\n", "int"),
        (b"epochs: !!timestamp x\n", "timestamp"),
        (b"clip: !!float x\n", "could not convert"),
    ],
)
def test_files_that_hold_no_settings(
    content: bytes, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_bytes(content)
    with pytest.raises(TutelageError, match=expected) as error:
        settings("my.yaml")
    assert expected.startswith("unknown key") or "my.yaml" in str(error.value)
    assert not Path("hacked").exists()


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(TutelageError, match=r"folder\.yaml cannot be read"):
        settings(tmp_path / "folder.yaml")
    with pytest.raises(TutelageError, match=r"gone\.yaml does not exist"):
        settings(tmp_path / "gone.yaml")


def test_several_teachers_are_a_list_of_names() -> None:
    settings = load(DistillSettings, "data=digits", "student=resnet8", "teacher=[runs/a, runs/b]")
    assert settings.teacher is not None and settings.teacher.names == ("runs/a", "runs/b")
    assert load(DistillSettings, "data=digits", "student=resnet8", "teacher=runs/a").teacher.names == ("runs/a",)


def test_a_stages_optimiser_nests_in_its_method() -> None:
    words = ("data=digits", "student=resnet8", "fsp.optimizer.lr=0.5", "fitnets.hint_schedule=constant")
    settings = load(DistillSettings, *words)
    assert (settings.fsp.optimizer.name, settings.fsp.optimizer.lr) == ("adamw", 0.5)
    assert settings.fitnets.hint_schedule.name == "constant"
    recipe = {"fsp": {"optimizer": {"name": "sgd", "lr": 0.5, "momentum": 0.5}}}
    renamed = load(DistillSettings, *words[:2], recipe, "fsp.optimizer=adamw")
    assert (renamed.fsp.optimizer.name, renamed.fsp.optimizer.lr, renamed.fsp.optimizer.momentum) == ("adamw", 0.5, 0.5)
    assert "fsp.optimizer.lr" in [key.name for key in keys(DistillSettings)]


def test_no_aliases_are_written(tmp_path: Path) -> None:
    shared = {"lr": [1, 2]}
    (tmp_path / "my.yaml").write_text(to_yaml({"a": shared, "b": shared}))
    assert as_mapping(tmp_path / "my.yaml") == {"a": {"lr": ["1", "2"]}, "b": {"lr": ["1", "2"]}}


class Pooled(Method):
    """A method of a user."""

    weight: float = 1.0

    def stages(self, pair: Pair) -> list[Stage]:
        return []


@pytest.fixture
def pooled() -> Iterator[None]:
    METHODS.register("pooled")(Pooled)
    yield
    del METHODS._items["pooled"]


def test_methods_registered_later_have_settings_in_the_same_class(pooled: None, tmp_path: Path) -> None:
    chosen = settings("method=kd+pooled", "pooled.weight=3")
    assert type(chosen) is DistillSettings
    assert chosen.methods()["pooled"] == Pooled(weight=3)
    assert pickle.loads(pickle.dumps(chosen)) == chosen
    (tmp_path / "config.yaml").write_text(dump(chosen))
    assert load(DistillSettings, tmp_path / "config.yaml") == chosen
    assert "pooled.weight" in [key.name for key in keys(DistillSettings)]
    with pytest.raises(TutelageError, match=r"unknown key 'pooled.wieght': did you mean pooled.weight"):
        settings("pooled.wieght=3")
    assert chosen.model_copy(update={"seed": 5}).pooled == chosen.pooled


def test_a_method_registered_after_the_settings_has_its_defaults() -> None:
    before = settings("method=kd")
    METHODS.register("pooled")(Pooled)
    try:
        assert before.model_copy(update={"method": "pooled"}).methods() == {"pooled": Pooled()}
    finally:
        del METHODS._items["pooled"]


def test_settings_built_in_python_are_checked_too() -> None:
    chosen = DistillSettings(data={"name": "digits"}, student={"name": "resnet8"}, at={"p": 3}, kd=METHODS["kd"]())
    assert chosen.at.p == 3 and chosen.kd.temperature == 4
    with pytest.raises(ValueError, match="extra_forbidden"):
        DistillSettings(data={"name": "digits"}, student={"name": "resnet8"}, attention={"p": 3})
