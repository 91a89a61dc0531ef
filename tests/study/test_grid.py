"""From what varies to runs."""

from __future__ import annotations

from typing import Any

import pytest

from tutelage import TutelageError
from tutelage.study.grid import cells_of
from tutelage.study.settings import StudySettings, read_settings

SHARED = {"data": "digits", "teacher": "runs/teacher", "student": "resnet8"}


def names(*words: str, **shared: Any) -> list[str]:
    own, rest = read_settings(StudySettings, SHARED | shared, "seeds=1", *words)
    return [cell.name for cell in cells_of(own, rest)]


def test_all_combinations_with_every_seed() -> None:
    found = names("grid.method=[none,kd]", "grid.student=[resnet8,timm/resnet18]", "seeds=2")
    assert found == [
        *("none-resnet8-0", "none-timm_resnet18-0", "kd-resnet8-0", "kd-timm_resnet18-0"),
        *("none-resnet8-1", "none-timm_resnet18-1", "kd-resnet8-1", "kd-timm_resnet18-1"),
    ]


def test_a_setting_that_the_method_does_not_read_makes_no_run() -> None:
    found = names("grid.method=[none,kd]", "grid.kd.temperature=[2,4]", "grid.teacher=[runs/a,runs/b]")
    assert found == [
        *("none-kd.temperature=2-runs_a-0", "kd-kd.temperature=2-runs_a-0", "kd-kd.temperature=2-runs_b-0"),
        *("kd-kd.temperature=4-runs_a-0", "kd-kd.temperature=4-runs_b-0"),
    ]


def test_an_axis_of_mappings_sets_several_keys() -> None:
    own, rest = read_settings(
        StudySettings,
        {**SHARED, "seeds": 1, "grid": {"how": [{"method": "kd"}, {"method": "at", "at.weight": 10}]}},
    )
    kd, at = cells_of(own, rest)
    assert (kd.settings.method, at.settings.method, at.settings.at.weight) == ("kd", "at", 10)
    assert at.name == "at-at.weight=10-0"


def test_settings_go_to_the_study_or_to_its_runs() -> None:
    own, rest = read_settings(StudySettings, SHARED, "workers=2", "epochs=7", "grid.optimizer.lr=[0.1,0.2]")
    assert (own.workers, own.grid) == (2, {"optimizer.lr": ["0.1", "0.2"]})
    (first, second) = (cell.settings for cell in cells_of(own.model_copy(update={"seeds": 1}), rest))
    assert (first.epochs, first.optimizer.lr, second.optimizer.lr) == (7, 0.1, 0.2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["grid.method=kd"], "grid.method=kd"),
        (["grid.method=[]"], "grid.method=\\[\\]: set the values"),
        (["grid.method=[kd,kdd]"], "did you mean kd"),
        (["grid.metod=[kd]"], "did you mean method"),
        (["grid.student=[a/b,a_b]"], "would be named a_b-0"),
        (["seeds=0"], "seeds=0"),
        (["epoch=3"], "did you mean epochs"),
    ],
)
def test_mistakes(words: list[str], said: str) -> None:
    with pytest.raises(TutelageError, match=said):
        names(*words)
