"""Every valid setting goes to YAML and to words, and comes back the same."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage import TutelageError
from tutelage.config import DistillSettings, TrainSettings, dump, keys, load
from tutelage.config.words import words

BASES = {
    TrainSettings: {"data": "digits", "model": "resnet8"},
    DistillSettings: {"data": "digits", "student": "resnet8", "teacher": "runs/t"},
}
POOL: list[Any] = [
    *(True, 3, 0.5, 1e-5, "~/x y/ü", "null", "007", "='\"\n", "sgd", "step", "kd+at"),
    *([0.2, 0.9], [0.1, 0.2, 0.3], ["wandb"], {"layer1.0.add": "layer2"}),
]


@cache
def accepted(kind: Any) -> list[tuple[str, Any]]:
    """Keys, each with a value that is valid where nothing else is given."""
    found = []
    known = {key.name for key in keys(TrainSettings)} if kind is DistillSettings else set()
    for key in keys(kind):
        if key.name in known:
            continue  # tried there
        for value in POOL:
            try:
                load(kind, BASES[kind], {key.name: value})
            except TutelageError:
                continue
            found.append((key.name, value))
    return found


@pytest.mark.parametrize("kind", [TrainSettings, DistillSettings])
def test_a_valid_value_of_each_key_comes_back(kind: Any) -> None:
    tried = dict(accepted(kind))  # the last of each key
    assert len(tried) > 30
    for name, value in tried.items():
        read = load(kind, BASES[kind], {name: value})
        assert load(kind, yaml.safe_load(dump(read))) == read, (name, value)
        assert load(kind, *words(read)) == read, (name, value)


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.data())
def test_valid_values_together_come_back(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([TrainSettings, DistillSettings]))
    layers = [{name: value} for name, value in data.draw(st.lists(st.sampled_from(accepted(kind)), max_size=6))]
    try:
        read = load(kind, BASES[kind], *layers)
    except TutelageError:
        return  # two that exclude each other
    assert load(kind, yaml.safe_load(dump(read))) == read
    assert load(kind, *words(read)) == read
