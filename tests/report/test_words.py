"""What the summary says of runs, and which runs it takes for seeds of the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.results import result
from tutelage.models import shown_count
from tutelage.report.material.groups import alone_of, group_runs
from tutelage.report.material.material import Material
from tutelage.report.material.run import Run
from tutelage.report.page.blocks import Words
from tutelage.report.page.wording import chance, listed, signed
from tutelage.report.sections.summary import summary

CONFIG: dict[str, Any] = {"data": {"name": "digits"}, "epochs": "3", "teacher": {"name": "runs/teacher"}}


def run(method: str, seed: int, top1: float, student: str = "resnet8", **changes: Any) -> Run:
    taught = {"teacher": "resnet20", "teacher_top1": 80.0, "agreement": 70.0, "teacher_parameters": 4000}
    made = result(method, seed, top1, student, epochs=3, parameters=1000, seconds=2.0, **taught)
    config = {**CONFIG, "seed": str(seed), "method": method, **changes}
    return Run(Path(f"{method}-{seed}"), made, top1, config, None, "", [], {}, {}, "")


def words(*runs: Run) -> str:
    groups = group_runs(runs)
    focus = next((group for group in groups if not group.alone), groups[0])
    section = summary(Material("", groups, focus, alone_of(focus, groups)))
    return " ".join(block.text for block in section.blocks if isinstance(block, Words))


KD = [run("kd", seed, top1) for seed, top1 in enumerate((74.0, 75.0, 76.0))]


def test_a_gain_that_the_seeds_show() -> None:
    text = words(*KD, *(run("none", seed, top1) for seed, top1 in enumerate((70.0, 70.5, 69.5))))
    assert "resnet8 (1,000 parameters) was distilled from resnet20 (4,000) with the method kd on digits" in text
    assert (
        "It reaches 75.00 ± 1.00 % top-1 on the test split (last epoch, mean ± standard deviation of 3 seeds)" in text
    )
    assert "The teacher reaches 80.00 %. Both predict the same class for 70.0 % of the images." in text
    assert "Distillation gains 5.00 points over the same student alone (70.00 ± 0.50 %, 3 seeds)" in text
    assert "+2.92 to +7.08" in text and "Distillation closes 50 % of the gap" in text


def test_a_loss_and_no_difference() -> None:
    worse = words(*KD, *(run("none", seed, top1) for seed, top1 in enumerate((78.0, 79.0, 78.5))))
    assert "Distillation did not help here" in worse and "3.50 points better" in worse
    assert "The gap to the teacher grew by 233 %" in worse
    alike = words(*KD, *(run("none", seed, top1) for seed, top1 in enumerate((74.0, 76.0, 74.5))))
    assert "+0.17 points" in alike and "the seeds do not show an effect" in alike and "gap" not in alike


def test_one_seed_and_nothing_to_compare_with() -> None:
    text = words(KD[0], run("none", 0, 70.0))
    assert "gained 4.00 points over" in text and "One seed cannot distinguish this difference from chance" in text
    constant = words(*(run(method, seed, top1) for method, top1 in (("kd", 74.0), ("none", 70.0)) for seed in (0, 1)))
    assert "gained 4.00 points" in constant and "cannot be tested" in constant and "One seed" not in constant
    assert "did not help: the result is 4.00 points below" in words(KD[0], run("none", 0, 78.0))
    assert "cannot be measured: there is no run of the same student alone" in words(KD[0])
    assert "cannot be measured" in words(KD[0], run("none", 0, 70.0, student="resnet14"))
    assert "not better than the student alone, so there is no gap" in words(KD[0], run("none", 0, 85.0))
    assert "was trained without a teacher" in words(run("none", 0, 85.0))


def test_the_best_of_several_is_picked_openly() -> None:
    assert "highest mean" in words(*KD, run("at", 0, 60.0))
    assert "highest mean" not in words(*KD)


def test_what_differs_in_a_setting_is_no_seed() -> None:
    same = group_runs([run("kd", 0, 70.0), run("kd", 1, 71.0, device="cpu"), run("kd", 2, 71.0, out="x")])
    assert [len(group.runs) for group in same] == [3]
    longer = group_runs([run("kd", 0, 70.0), run("kd", 1, 71.0, epochs="9")])
    assert [group.label for group in longer] == ["resnet8 kd epochs=3", "resnet8 kd epochs=9"]
    other = {"teacher": {"name": "runs/other"}}
    assert len(group_runs([run("kd", 0, 70.0), run("kd", 0, 71.0, **other)])) == 2
    assert len(group_runs([run("kd", 0, 70.0), run("kd", 1, 71.0, **other)])) == 1


def test_the_typical_run() -> None:
    (group,) = group_runs(KD)
    assert group.typical.top1 == 75.0
    assert group.row.gap_closed(group_runs([run("none", 0, 70.0)])[0].row) == pytest.approx(50.0)


def test_numbers_in_words() -> None:
    shown = [shown_count(n) for n in (0.05, 12, 78042, 999_900, 1.2e6, 3e9)]
    assert shown == ["0.05", "12", "78 k", "1 M", "1.2 M", "3 G"]
    assert [signed(n, 1) for n in (1.25, -0.5, 0.01, -0.04)] == ["+1.2", "−0.5", "0.0", "0.0"]
    assert (chance(0.0002), chance(0.02)) == ("p < 0.001", "p = 0.020")
    assert [listed(["a", "b", "c"][:n]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]
