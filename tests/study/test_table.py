"""Mean ± standard deviation over seeds, differences, and the tables of them."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from scipy import special

from harness.results import result
from tutelage import TutelageError
from tutelage.study import Row, against_alone, best_among, columns, comma_separated, markdown, summarize, terminal
from tutelage.study.statistics import holm
from tutelage.training import Result


def test_deviation_divides_by_n_minus_one() -> None:
    rows = summarize([result("kd", 0, 90.0), result("none", 0, 70.0), result("kd", 1, 92.0), result("kd", 2, 97.0)])
    kd, none = rows
    assert (kd.method, kd.mean, kd.seconds) == ("kd", 93.0, 3.0)
    assert kd.deviation == pytest.approx(math.sqrt((9 + 1 + 16) / 2))
    assert kd.figure == "93.00 ± 3.61"
    assert none.deviation is None and none.figure == "70.00"


def test_the_table_shows_every_group() -> None:
    out = io.StringIO()
    rows = summarize([result("kd", 0, 90.0), result("kd", 1, 92.0), result("none", 0, 70.0, "resnet20")])
    Console(file=out, width=160).print(terminal(rows, 160))
    lines = out.getvalue().splitlines()
    assert len(lines) == 3 and "91.00 ± 1.41" in lines[1] and "resnet20" in lines[2]


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_on_a_narrow_screen_columns_give_way_and_nothing_is_cut(width: int) -> None:
    rows = summarize([result(method, seed, 70.0 + seed) for method in ("none", "feature_maps") for seed in range(3)])
    out = io.StringIO()
    Console(file=out, width=width).print(terminal(rows, width))
    lines = out.getvalue().splitlines()
    assert len(lines) == 3 and "…" not in out.getvalue() and max(map(len, lines)) <= width
    assert "feature_maps" in out.getvalue() and "71.00 ± 1.00" in lines[1]


def test_settings_that_are_not_defaults_make_rows_of_their_own() -> None:
    four = {"feature_maps": {"count": 4}}
    rows = summarize([result("feature_maps", 0, 80.0), result("feature_maps", 0, 90.0, settings=four)])
    assert [row.method for row in rows] == ["feature_maps", "feature_maps (count 4)"]


def row(method: str, *top1: float, **changes: Any) -> Row:
    (made,) = summarize([result(method, seed, value, **changes) for seed, value in enumerate(top1)])
    return made


def test_the_share_of_the_gap() -> None:
    alone = row("none", 68.0, 72.0)
    assert row("kd", 74.0, 76.0, teacher_top1=80.0).gap_closed(alone) == pytest.approx(50.0)
    assert row("kd", 74.0, 76.0, teacher_top1=70.0).gap_closed(alone) is None
    assert row("kd", 74.0).gap_closed(alone) is None


def test_welch() -> None:
    """Against the textbook: t = Δ / √(s₁²/n₁ + s₂²/n₂), Welch's and Satterthwaite's degrees of freedom."""
    ours, alone = row("kd", 64.1, 65.0, 64.6, 66.2), row("none", 60.3, 62.9, 61.0)
    parts = [3 * [0.0] for _ in range(2)]
    for place, values in enumerate((ours.top1, alone.top1)):
        mean = sum(values) / len(values)
        variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
        parts[place] = [mean, variance / len(values), len(values)]
    (m1, v1, n1), (m2, v2, n2) = parts
    error = math.sqrt(v1 + v2)
    freedom = (v1 + v2) ** 2 / (v1**2 / (n1 - 1) + v2**2 / (n2 - 1))
    t = (m1 - m2) / error
    found = ours.difference(alone)
    assert found is not None
    assert found.points == pytest.approx(m1 - m2)
    assert found.p == pytest.approx(2 * (1 - special.stdtr(freedom, t)))
    half = special.stdtrit(freedom, 0.975) * error
    assert (found.low, found.high) == pytest.approx((m1 - m2 - half, m1 - m2 + half))
    assert found.shown and not ours.difference(row("at", 64.9, 65.9, 66.1)).shown  # type: ignore[union-attr]
    assert ours.difference(row("at", 60.0)) is None


def test_holm() -> None:
    """By hand: 4·0.005, 3·0.01, 2·0.03, and 1·0.04 raised to the one before it."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.02, 0.7]) == pytest.approx([1.0, 0.06, 1.0])
    assert holm([]) == []


def test_several_comparisons_with_one_student_alone_are_adjusted_together() -> None:
    """A difference that is shown by itself is not shown as one of many methods that do nothing."""
    alone, ours = row("none", 60.0, 61.0, 62.0), row("kd", 62.6, 63.4, 64.1)
    others = [row(method, 60.1, 61.0, 62.2) for method in ("at", "nst", "ofd")]
    elsewhere = [row("none", 70.0, 71.0, student="resnet14"), row("kd", 75.0, 75.5, student="resnet14")]
    single = ours.difference(alone)
    _, one = against_alone([alone, ours])
    found = against_alone([alone, ours, *others, *elsewhere])
    assert single is not None and single.shown and one is not None and one.difference == single
    assert found[0] is None and found[5] is None
    assert found[1] is not None and found[1].alone is alone and found[1].difference is not None
    assert found[1].difference.p == pytest.approx(4 * single.p) and not found[1].difference.shown
    assert found[6] is not None and found[6].difference == elsewhere[1].difference(elsewhere[0])
    headers, cells = columns([alone, ours, *others])
    said = {line[headers.index("method")].strip("*"): line[headers.index("p")] for line in cells}
    assert said["kd"] == f"{4 * single.p:.2f}, not significant" and said["at"] == "1.00, not significant"


@pytest.mark.parametrize("top1", [50.0, 90.0])
def test_without_variance_over_the_seeds_no_difference_is_claimed(top1: float) -> None:
    ours, alone = row("kd", top1, top1), row("none", 50.0, 50.0)
    assert ours.difference(alone) is None and best_among([ours, alone]) == [ours, alone]
    headers, cells = columns([ours, alone])
    said = {line[headers.index("method")].strip("*"): line[headers.index("p")] for line in cells}
    assert said == {"kd": "not testable", "none": ""}
    assert "p" not in columns([row("kd", top1), row("none", 50.0)])[0]


def test_bold_are_the_best_and_what_the_seeds_do_not_tell_from_it() -> None:
    rows = [row("none", 60.0, 60.4), row("kd", 70.0, 70.5), row("at", 69.9, 70.4), row("fsp", 64.0)]
    assert [found.method for found in best_among(rows)] == ["kd", "at", "fsp"]
    headers, cells = columns(rows)
    assert [line[headers.index("method")] for line in cells] == ["**kd**", "**at**", "**fsp**", "none"]


def test_a_difference_that_the_seeds_do_not_show_is_not_claimed() -> None:
    headers, cells = columns([row("none", 60.0, 61.5, 63.0), row("kd", 62.0, 64.0), row("at", 90.0, 90.1, 90.2)])
    said = {line[headers.index("method")].strip("*"): line[headers.index("p")] for line in cells}
    assert said["none"] == "" and said["kd"].endswith("not significant") and "not significant" not in said["at"]


def test_the_student_alone_is_of_the_same_setting() -> None:
    short, longer = row("none", 50.0), row("none", 60.0).model_copy(update={"setting": "epochs=60"})
    ours = row("kd", 65.0).model_copy(update={"setting": "epochs=60", "teacher": "runs/b"})
    assert ours.alone_among([short, longer, ours]) is longer
    assert row("kd", 65.0, student="resnet14").alone_among([short, longer]) is None


def test_markdown_and_csv_say_the_same() -> None:
    rows = [row("none", 60.0, 60.4), row("kd", 70.0, 70.5), row("a|b", 1.0, 2.0)]
    headers, *lines = csv.reader(io.StringIO(comma_separated(rows)))
    table = [line for line in markdown(rows).splitlines() if line.startswith("|")]
    assert len(table) == len(lines) + 2 and table[0].count("|") == len(headers) + 1
    assert lines[0][headers.index("top-1 %")] == "70.25 ± 0.35" and "**70.25 ± 0.35**" in table[2]
    assert "a\\|b" in table[4]


def test_a_run_without_a_result_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TutelageError, match="tutelage resume"):
        Result.read(tmp_path)
