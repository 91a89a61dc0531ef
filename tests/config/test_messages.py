"""Settings that are wrong: what the user reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tutelage import TutelageError
from tutelage.config import DistillSettings, TrainSettings, keys, load


def message(*words: str | Mapping[str, Any], kind: type = DistillSettings) -> str:
    given = {"data": "digits", "student" if kind is DistillSettings else "model": "resnet8"}
    with pytest.raises(TutelageError) as error:
        load(kind, given, *words)
    return str(error.value)


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("epoch", "epochs"),
        ("num_epochs", "epochs"),
        ("batchsize", "batch_size"),
        ("--epochs", "epochs"),
        ("optimiser", "optimizer"),
        ("lr", "optimizer.lr"),
        ("learning_rate", "optimizer.lr"),
        ("lerning_rate", "optimizer.lr"),
        ("optimizer.learning_rate", "optimizer.lr"),
        ("optimizer.momentun", "optimizer.momentum"),
        ("momentum", "optimizer.momentum"),
        ("kd.temprature", "kd.temperature"),
        ("at.tap", "at.taps"),
        ("data.nam", "data.name"),
        ("model", "student"),
    ],
)
def test_the_key_that_was_meant_comes_first(key: str, meant: str) -> None:
    start, _, close = message(f"{key}=1").partition(": did you mean ")
    assert start == f"unknown key '{key}'"
    assert close.rstrip("?").split(" or ")[0] == meant


def test_a_name_of_several_sections_names_them_all() -> None:
    text = message("temperature=2")
    assert "kd.temperature" in text
    assert "fitnets.temperature" in text


def test_a_key_like_no_other_lists_what_there_is() -> None:
    assert message("zzz=1").startswith("unknown key 'zzz': known: ab, accumulate, at, at_gradient, batch_size, bn_")
    assert message("kd.zzz=1").startswith("unknown key 'kd.zzz': known: kd.alpha, kd.ce, kd.ensemble, kd.labels, kd.")
    assert "did you mean" not in message("method=kd", kind=TrainSettings)


def test_a_key_of_each_section_with_a_letter_too_many_is_understood() -> None:
    last = {key.name.rpartition(".")[0]: key for key in keys(DistillSettings)}
    for key in last.values():
        assert f"did you mean {key.name}" in message({f"{key.name}x": 1}), key.name


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("epochs=many", ["epochs=many", "integer"]),
        ("epochs=2.5", ["epochs=2.5", "integer"]),
        ("epochs=true", ["epochs=true", "integer"]),
        ("epochs=", ["epochs=null", "integer"]),
        ("epochs={a: 1}", ["epochs=", "integer"]),
        ("seed=-1", ["seed=-1", "greater than or equal to 0"]),
        ("seed=99999999999999999999", ["seed=9999", "less than"]),
        ("overwrite=perhaps", ["overwrite=perhaps", "boolean"]),
        ("optimizer.lr=.nan", ["optimizer.lr=nan", "finite"]),
        ("optimizer.lr=nan", ["optimizer.lr=nan", "finite"]),
        ("optimizer.lr=-.inf", ["optimizer.lr=-inf", "finite"]),
        ("clip=inf", ["clip=inf", "finite"]),
        ("kd.alpha=2", ["kd.alpha=2", "less than or equal to 1"]),
        ("optimizer.betas=0.9", ["optimizer.betas=0.9", "set a list, as in optimizer.betas=[…, …]"]),
        ("optimizer.betas=[0.9]", ["optimizer.betas=['0.9']", "2 or more values"]),
        ("data.scale=[0.9, 0.5]", ["data.scale=", "minimum <= maximum"]),
        ("at.taps=layer1", ["at.taps=layer1", "set pairs, as in at.taps={layer2: layer3}"]),
        ("out=[a]", ["out=", "folder"]),
        ("data=", ["data=null", "data=NAME"]),
        ("data=[digits]", ["data=['digits']", "data=NAME"]),
        ("kd=3", ["kd=3", "kd.temperature=…, kd.alpha=…"]),
        ("teacher.input_size=64", ["teacher is missing; set teacher=…"]),
        ("at.form=paper", ["at.form=paper has no default weight", "set at.weight"]),
        ("schedule=cosin", ["schedule.name=cosin", "did you mean cosine?"]),
        ("optimizer=adam", ["optimizer.name=adam", "did you mean adamw?"]),
        ("precision=bf61", ["precision=bf61", "did you mean bf16?"]),
        ("method=fitnet", ["method=fitnet", "did you mean fitnets or ft?"]),
        ("method=kd+kd", ["method=kd+kd names a method twice; remove one"]),
        ("method=kd+none", ["method=kd+none: 'none' trains the student alone"]),
        ("=3", ["'=3' has no key before the ="]),
        ("epochs", ["'epochs' is neither key=value nor a YAML file"]),
        ("data=@home", ["data=@home", "not readable as YAML", """quote it: 'data="@home"'"""]),
        ("data={", ["data={", "not readable as YAML"]),
        ("out=~no-such-user/x", ["out=~no-such-user/x", "no such user"]),
    ],
)
def test_the_value_the_place_and_the_way_out(word: str, parts: list[str]) -> None:
    text = message(word)
    assert all(part in text for part in parts), text
    assert "\n" not in text
    for jargon in ("instance of", "pathlib", "NoneType", "dictionary", "unicode string", "Value error"):
        assert jargon not in text


def test_the_quoting_that_is_advised_works() -> None:
    assert load(DistillSettings, "student=resnet8", 'data="@home"').data.name == "@home"


def test_every_mistake_is_a_line() -> None:
    text = message("epochs=0", "kd.temprature=2", "precision=fp8")
    assert len(text.splitlines()) == 3
