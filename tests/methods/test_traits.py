"""What ``tutelage list methods`` and docs/methods.md say of a method: read from its terms, and the same in both."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import pytest
from typer.testing import CliRunner

from harness.cases import CASES
from tutelage.cli import app
from tutelage.cli.listing import METHOD_COLUMNS, method_cells
from tutelage.errors import TutelageError
from tutelage.methods import METHODS, Group, parse, traits_of

DOCS = Path(__file__).parents[2] / "docs" / "methods.md"
HEADINGS = {
    "Logits": "logits",
    "Relations between samples": "relations",
    "Feature maps": "maps",
    "Embeddings": "embeddings",
}


def documented() -> dict[str, dict[str, str]]:
    """Returns the rows of the tables in docs/methods.md: the cells by column, and the group, by method."""
    rows, group, columns = {}, "", []
    for line in DOCS.read_text(encoding="utf-8").splitlines():
        if line.startswith("### "):
            group = HEADINGS.get(line.removeprefix("### "), "")
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| method "):
            columns = cells
        elif line.startswith("| ["):
            name = re.match(r"\[(\w+)\]", cells[0]).group(1)  # type: ignore[union-attr]
            rows[name] = {**dict(zip(columns, cells)), "group": group}
    return rows


def test_the_guide_says_of_every_method_what_its_terms_say() -> None:
    rows = documented()
    assert rows.keys() == set(METHODS) - {"none"}
    for name, row in rows.items():
        method = METHODS[name]
        traits = traits_of(method())
        cells = dict(zip(METHOD_COLUMNS, method_cells({"matches": method.matches, **asdict(traits)})))
        assert row["group"] == method.group, name
        for column in ("matches", "teacher", "labels", "batch", "cache"):
            assert row[column] == cells[column], (name, column)
        assert (row["stages"] or "1").partition(";")[0].startswith(cells["stages"] or "1"), name
        assert bool(row["trains"]) == (traits.parameters > 0), name


def test_needs_and_costs_follow_the_settings() -> None:
    assert traits_of(METHODS["srd"]()).teacher == "classes"
    assert traits_of(METHODS["srd"](kd_weight=0)).teacher == "any"
    assert traits_of(METHODS["srrl"]()).teacher == "head"
    assert traits_of(METHODS["fsp"]()).teacher == "channels"
    assert traits_of(METHODS["at_gradient"](form="symmetry")).teacher == "none"
    assert traits_of(METHODS["nst"](layers="last")).cache == "large"
    assert [traits_of(METHODS["fitnets"](joint=joint)).stages for joint in (False, True)] == [2, 1]
    few, many = (traits_of(METHODS["pefd"](projectors=count)).parameters for count in (1, 3))
    assert many == 3 * few == 3 * (64 + 1) * 256  # embeddings of 64 and 256
    assert traits_of(METHODS["at_gradient"]()).second_derivatives
    assert traits_of(METHODS["gkl"]()).batch and traits_of(METHODS["gkl"]()).labels


def test_every_method_has_a_case_and_a_page() -> None:
    for name in METHODS:
        assert any(name in parse(case.method) for case in CASES), f"add a case of {name} to tests/harness/cases.py"
        assert (DOCS.parent / "methods" / f"{name}.md").exists(), f"write docs/methods/{name}.md"


def test_every_method_says_what_it_compares() -> None:
    for name in METHODS:
        assert METHODS[name].group in get_args(Group) and 0 < len(METHODS[name].matches) <= 25, name


def test_the_list_is_grouped_and_fits_80_columns() -> None:
    lines = CliRunner().invoke(app, ["list", "methods"]).output.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    headings = [line.split()[0] for line in lines if "matches" in line.split()[1:2]]
    assert headings == ["logits", "relations", "maps", "embeddings", "other"]
    (dkd,) = (line.split() for line in lines if line.startswith("dkd "))
    assert dkd == ["dkd", "label's", "class", "and", "others", "classes", "yes", "yes"]


def test_the_list_as_json() -> None:
    rows = {row["name"]: row for row in json.loads(CliRunner().invoke(app, ["list", "methods", "--json"]).stdout)}
    assert rows.keys() == set(METHODS)
    assert rows["nkd"]["summary"].startswith("Normalized knowledge distillation: CE − p_t[y]")
    shown = {key: rows["rkd"][key] for key in ("group", "teacher", "labels", "batch", "cache", "parameters", "stages")}
    assert shown == {
        "group": "relations",
        "teacher": "any",
        "labels": False,
        "batch": True,
        "cache": "yes",
        "parameters": 0,
        "stages": 1,
    }


@pytest.mark.parametrize(
    ("name", "meant"), [("DKD", "dkd"), ("CAT-KD", "cat_kd"), ("review_kd", "reviewkd"), ("wttm", "ttm")]
)
def test_an_unknown_method_is_compared_with_the_known_ones(name: str, meant: str) -> None:
    with pytest.raises(TutelageError, match=f"unknown method '{name}': did you mean {meant}( or|\\?)"):
        METHODS[name]
