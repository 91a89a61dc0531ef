"""A recipe as an object: settings with changes, the runs it needs, what was published beside what came out."""

from __future__ import annotations

from pathlib import Path

import pydantic
import pytest

from tutelage.cli.recipe import announce, compare
from tutelage.config import DistillSettings, TrainSettings
from tutelage.errors import TutelageError
from tutelage.recipes import Images, Published, Recipe, list_recipes, load_recipe, recipe_of, require_runs
from tutelage.training import Result


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def result(teacher_top1: float | None = 93.5) -> Result:
    """The figures of a finished run: 92.41 % top-1, 99.6 % top-5."""
    return Result.model_construct(rule="last epoch", split="test", top1=92.41, top5=99.6, teacher_top1=teacher_top1)


def published(of: str, figure: str, value: float, rule: str = "best on test", **more: object) -> Published:
    return Published(of=of, figure=figure, value=value, rule=rule, source="a paper", **more)  # type: ignore[arg-type]


def recipe(*figures: Published, verb: str = "distill", **more: object) -> Recipe:
    config = {"data": "cifar10", "epochs": 2, "student": "resnet8"} if verb == "distill" else {"model": "resnet8"}
    return Recipe(name="kd/pair", about="A pair", verb=verb, config=config, published=figures, **more)  # type: ignore[arg-type]


def test_settings_have_a_folder_named_by_the_recipe_and_take_changes() -> None:
    settings = recipe().settings("epochs=7", "kd.alpha=0.5")
    assert isinstance(settings, DistillSettings)
    assert (settings.out, settings.epochs, settings.student.name) == (Path("runs/kd/pair"), 7, "resnet8")
    assert recipe().settings("out=mine").out == Path("mine")
    assert isinstance(recipe(verb="train").settings("data=digits"), TrainSettings)


@pytest.mark.parametrize("words", [[], ["data.flip=false"]])
def test_images_without_a_name_are_asked_for(words: list[str]) -> None:
    unnamed = load_recipe("ofd/imagenet-b")
    with pytest.raises(TutelageError, match="is for ImageNet-1k.*data=FOLDER with train/ and val/.*1,000 classes"):
        unnamed.settings(*words)
    assert unnamed.settings(*words, "data=pictures").data.name == "pictures"
    assert unnamed.settings(*words, "data.name=pictures").data.name == "pictures"
    assert unnamed.images == Images(name="ImageNet-1k", classes=1000, size=224)


def test_what_a_recipe_must_not_hold() -> None:
    good = {"name": "kd/pair", "about": "A pair", "verb": "distill", "config": {}}
    assert Recipe(**good)  # type: ignore[arg-type]
    for wrong in ({"verb": "destil"}, {"about": ""}, {"publshed": []}, {"published": [{"of": "student", "value": 1}]}):
        with pytest.raises(pydantic.ValidationError):
            Recipe(**{**good, **wrong})  # type: ignore[arg-type]
    with pytest.raises(pydantic.ValidationError):
        published("distilled", "top-1", 100.5)


def test_the_folder_of_another_recipes_run() -> None:
    assert recipe_of("runs/baseline/cifar10-resnet110") == "baseline/cifar10-resnet110"
    assert recipe_of("runs/teacher") is None
    assert recipe_of("baseline/cifar10-resnet110") is None
    assert load_recipe("kd/cifar10-resnet110-resnet20").name in list_recipes()


def test_a_teacher_that_is_another_recipes_run_must_be_there() -> None:
    settings = load_recipe("kd/cifar10-ensemble-resnet20").settings()
    Path("runs/baseline/cifar10-resnet56/student").mkdir(parents=True)
    with pytest.raises(
        TutelageError, match="teacher=runs/baseline/cifar10-resnet110 is not trained yet.*'tutelage run"
    ):
        require_runs(settings)
    Path("runs/baseline/cifar10-resnet110").mkdir(parents=True)
    with pytest.raises(TutelageError, match="not finished.*'tutelage resume runs/baseline/cifar10-resnet110'"):
        require_runs(settings)
    Path("runs/baseline/cifar10-resnet110/student").mkdir()
    require_runs(settings)
    student = load_recipe("imagenette/residual-5-maps-from-alone").settings("teacher=elsewhere")
    with pytest.raises(TutelageError, match="student=runs/imagenette/residual-alone.*run imagenette/residual-alone"):
        require_runs(student)


def test_published_figures_are_announced_with_their_rules_and_differences() -> None:
    text = announce(recipe(published("distilled", "top-1", 92.93, deviation=0.2, note="another teacher")))
    assert text.splitlines() == [
        "kd/pair: A pair",
        "published, distilled: top-1 92.93 ± 0.20 (best on test) in a paper; another teacher",
    ]


def test_ours_stands_beside_what_was_published_with_its_own_rule() -> None:
    told = recipe(
        published("distilled", "top-1", 92.93),
        published("distilled", "top-5 error", 0.5),
        published("teacher", "top-1 error", 6.14),
        published("teacher", "top-5", 99.9),
        published("alone", "top-1", 91.7),
    )
    assert compare(told, result(), []).splitlines() == [
        "distilled: published top-1 92.93 (best on test); ours 92.41 (last epoch, test)",
        "distilled: published top-5 error 0.50 (best on test); ours 0.40 (last epoch, test)",
        "teacher: published top-1 error 6.14 (best on test); ours 6.50 (test)",
    ]
    changed = compare(told, result(None), ["epochs=2", "seed=1"])
    assert "ours 92.41 (last epoch, test, with epochs=2 seed=1)" in changed and "teacher" not in changed
    alone = recipe(published("alone", "top-1", 91.7), verb="train")
    assert compare(alone, result(None), []).startswith("alone: published top-1 91.70 (best on test); ours")
    assert compare(recipe(), result(), []) == "there is no published result for this experiment"


def test_the_headline_is_of_what_the_recipe_trains() -> None:
    figures = (published("alone", "top-1", 91.7), published("distilled", "top-1", 92.9))
    assert recipe(*figures).headline == figures[1]
    assert recipe(*figures, verb="train").headline == figures[0]
    assert recipe().headline is None
