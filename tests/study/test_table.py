"""Mean ± standard deviation over seeds."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tutelage import TutelageError
from tutelage.study import results_table, summarize
from tutelage.training import Result


def result(method: str, seed: int, top1: float, student: str = "resnet8", **changes: Any) -> Result:
    return Result(
        status="finished",
        method=method,
        data="digits",
        student=student,
        teacher=None,
        seed=seed,
        epochs=1,
        split="test",
        top1=top1,
        top5=100.0,
        best_top1=None,
        best_epoch=None,
        validation_top1=None,
        teacher_top1=None,
        agreement=None,
        parameters=1234,
        teacher_parameters=None,
        precision="fp32",
        seconds=2.0 + seed,
        images_per_second=1.0,
        git=None,
        packages={},
        folder="",
    ).model_copy(update=changes)


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
    Console(file=out, width=120).print(results_table(rows))
    lines = out.getvalue().splitlines()
    assert len(lines) == 3 and "91.00 ± 1.41" in lines[1] and "resnet20" in lines[2]


def test_settings_that_are_not_defaults_make_rows_of_their_own() -> None:
    four = {"feature_maps": {"count": 4}}
    rows = summarize([result("feature_maps", 0, 80.0), result("feature_maps", 0, 90.0, settings=four)])
    assert [row.method for row in rows] == ["feature_maps", "feature_maps (count 4)"]


def test_the_share_of_the_gap() -> None:
    (row,) = summarize([result("kd", seed, top1, teacher_top1=80.0) for seed, top1 in enumerate((74.0, 76.0))])
    assert row.gap_closed(alone=70.0) == pytest.approx(50.0)
    assert row.gap_closed(alone=80.0) is None
    (alone,) = summarize([result("none", 0, 70.0)])
    assert alone.gap_closed(70.0) is None


def test_a_run_without_a_result_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TutelageError, match="tutelage resume"):
        Result.read(tmp_path)
