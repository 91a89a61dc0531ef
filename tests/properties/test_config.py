"""Every valid setting goes to YAML and to words, and comes back the same."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage import TutelageError
from tutelage.config import DistillSettings, TrainSettings, dump, keys, load
from tutelage.config.sections import Key
from tutelage.config.words import words

BASES = {
    TrainSettings: {"data": "digits", "model": "resnet8"},
    DistillSettings: {"data": "digits", "student": "resnet8", "teacher": "runs/t"},
}
POOL: list[Any] = [
    *(True, 3, 0.5, 1e-5, "~/x y/ü", "null", "007", "='\"\n", "sgd", "step", "kd+at"),
    *([0.2, 0.9], [0.1, 0.2, 0.3], ["wandb"], {"layer1.0.add": "layer2"}),
]


def is_valid(kind: Any, key: Key, value: Any) -> bool:
    """Returns whether a value is valid where nothing else is given."""
    try:
        load(kind, BASES[kind], {key.name: value})
    except TutelageError:
        return False
    return True


@pytest.mark.parametrize("kind", [TrainSettings, pytest.param(DistillSettings, marks=pytest.mark.chaos)])
def test_a_valid_value_of_each_key_comes_back(kind: Any) -> None:
    known = {key.name for key in keys(TrainSettings)} if kind is DistillSettings else set()  # tried there
    new = [key for key in keys(kind) if key.name not in known]
    tried = {key.name: value for key in new for value in POOL if is_valid(kind, key, value)}  # the last of each key
    assert len(tried) > 30
    for name, value in tried.items():
        read = load(kind, BASES[kind], {name: value})
        assert load(kind, yaml.safe_load(dump(read))) == read, (name, value)
        assert load(kind, *words(read)) == read, (name, value)


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.data())
def test_valid_values_together_come_back(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([TrainSettings, DistillSettings]))
    drawn = st.tuples(st.sampled_from(list(keys(kind))), st.sampled_from(POOL))
    layers = [{key.name: value} for key, value in data.draw(st.lists(drawn, max_size=6)) if is_valid(kind, key, value)]
    try:
        read = load(kind, BASES[kind], *layers)
    except TutelageError:
        return  # two that exclude each other
    assert load(kind, yaml.safe_load(dump(read))) == read
    assert load(kind, *words(read)) == read
