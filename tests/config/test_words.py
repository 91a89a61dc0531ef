"""The command line that a run's settings are written back to."""

from __future__ import annotations

import shlex

import pytest

from tutelage.config import DistillSettings, TrainSettings, command, load


@pytest.mark.parametrize(
    "words",
    [
        ["data=digits", "student=resnet8", "teacher=runs/teacher", "method=kd+at", "kd.temperature=2", "seed=3"],
        ["data=/a b/it's #1: $HOME", "student.name=runs/null", "student.weights=yes", "teacher=[runs/a, 'b,c']"],
        [
            "data=digits",
            "student=resnet8",
            "teacher=t",
            "at.taps={layer3.0.add: layer3}",
            "optimizer=adamw",
            "ema=1e-5",
        ],
        ["data=null: [x]\n`rm`", "data.scale=[0.1, 1]", "data.augment=false", "student=resnet8", "out=~/x y"],
        [
            "data=digits",
            "student=resnet8",
            "fitnets.hint_optimizer.lr=0.5",
            "schedule=step",
            "schedule.milestones=[2,3]",
        ],
    ],
)
def test_a_command_gives_the_same_settings_again(words: list[str]) -> None:
    settings = load(DistillSettings, {"data": words[0].removeprefix("data=")}, *words[1:])
    program, verb, *again = shlex.split(command(settings))
    assert (program, verb) == ("tutelage", "distill")
    assert load(DistillSettings, *again) == settings


def test_only_what_is_not_the_default_is_said() -> None:
    settings = load(TrainSettings, "data=digits", "model=resnet8", "epochs=30", "seed=1")
    assert command(settings) == "tutelage train data=digits seed=1 model=resnet8"
