"""A table: one file with a recipe per pair of networks, above what its benchmark says of the pairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tutelage.errors import TutelageError
from tutelage.recipes import list_recipes, load_recipe
from tutelage.recipes.table import content_of, names_in

BENCHMARK = """\
about: Small images
config: {data: digits, epochs: 4, optimizer: {name: sgd, lr: 0.1}}
published: {teacher: {figure: top-1, rule: last epoch, source: a README}}
pairs:
  big-small: {about: Big → Small, config: {teacher: runs/big, student: small}, teacher: 80.5}
  wide-thin: {about: Wide → Thin, config: {teacher: runs/wide, student: thin, optimizer: {lr: 0.01}}, teacher: 81.5}
"""

TABLE = """\
about: two of them
config: {method: kd+at, at: {weight: 500}, epochs: 3}
published: {figure: top-1, rule: best on test, source: a paper}
pairs:
  big-small: {value: 70.5, note: another seed, config: {at: {p: 1}}}
  wide-thin: {}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "at").mkdir()
    (tmp_path / "digits.yaml").write_text(BENCHMARK)
    table = tmp_path / "at" / "digits-PAIR-both.yaml"
    table.write_text(TABLE)
    return table


def test_every_layer_adds_to_a_recipe(file: Path) -> None:
    assert names_in(file) == ["digits-big-small-both", "digits-wide-thin-both"]
    recipe = content_of(file, "digits-big-small-both")
    assert (recipe["about"], recipe["verb"]) == ("Big → Small, two of them", "distill")
    assert recipe["config"] == {
        "data": "digits",
        "epochs": 3,
        "optimizer": {"name": "sgd", "lr": 0.1},
        "teacher": "runs/big",
        "student": "small",
        "method": "kd+at",
        "at": {"weight": 500, "p": 1},
    }
    of_paper = {"figure": "top-1", "rule": "best on test", "source": "a paper"}
    of_readme = {"figure": "top-1", "rule": "last epoch", "source": "a README"}
    assert recipe["published"] == [
        {"of": "distilled", **of_paper, "value": 70.5, "note": "another seed"},
        {"of": "teacher", "value": 80.5, **of_readme},
    ]


def test_a_pair_has_its_own_training_and_maybe_no_number(file: Path) -> None:
    recipe = content_of(file, "digits-wide-thin-both")
    assert recipe["config"]["optimizer"] == {"name": "sgd", "lr": 0.01}
    assert [figure["of"] for figure in recipe["published"]] == ["teacher"]


def test_the_weights_of_a_method_are_those_of_the_pair() -> None:
    assert load_recipe("dkd/cifar100-resnet32x4-resnet8x4").config["dkd"]["beta"] == 8
    assert load_recipe("dkd/cifar100-resnet56-resnet20").config["dkd"]["beta"] == 2
    assert load_recipe("reviewkd/cifar100-resnet32x4-shufflenet_v2").config["optimizer"]["lr"] == 0.02


def test_every_method_of_the_benchmark_has_all_its_pairs() -> None:
    crd = [name for name in list_recipes() if name.startswith("crd/")]
    assert len(crd) == 11 * 13 + 2 * 6  # FSP and OFD have six pairs each
    assert {"crd/cifar100-cifar_resnet50-vgg8-at", "crd/cifar100-vgg13-vgg8-ofd"} <= set(crd)


def test_a_pair_that_a_table_does_not_have() -> None:
    with pytest.raises(
        TutelageError, match=r"unknown recipe 'dkd/cifar100-vgg13-vgg16': did you mean dkd/cifar100-vgg13"
    ):
        load_recipe("dkd/cifar100-vgg13-vgg16")
    with pytest.raises(TutelageError, match="unknown recipe 'dkd/cifar100-PAIR'"):
        load_recipe("dkd/cifar100-PAIR")
