"""Runs on mixup, CutMix and RandAugment; methods that cannot do with mixtures refuse them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.cases import CASES, Case, build
from tutelage import TutelageError, distill, train
from tutelage.data import DataSettings
from tutelage.methods import METHODS
from tutelage.terms import LABELS, LOGITS, Stage, Term
from tutelage.training.job.checks import check_labels, check_mixing

MIXED = {"name": "digits", "mixup": 0.8, "cutmix": 1.0, "mix_probability": 0.8, "randaugment": 1}
RUN: dict[str, Any] = {
    "data": MIXED,
    "batch_size": 64,
    "optimizer": {"name": "sgd", "lr": 0.1},
    "label_smoothing": 0.1,
    "precision": "fp32",
    "device": "cpu",
}


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.chaos
def test_a_network_learns_from_mixtures_and_teaches_on_them_without_labels(tmp_path: Path) -> None:
    result = train(**RUN, model="resnet8", epochs=4, out=tmp_path / "teacher")
    losses = [record["train/ce"] for record in records(tmp_path / "teacher")]
    assert losses[-1] < 0.9 * losses[0]
    assert result.top1 > 70
    distill(
        **{**RUN, "data": {"name": "digits", "mixup": 1.0, "fraction": 0.5}},
        teacher=tmp_path / "teacher",
        student="resnet8",
        method="kd+at",
        kd={"labels": False, "temperature": 1.0},
        epochs=2,
        out=tmp_path / "student",
    )
    losses = [record["train/kd"] for record in records(tmp_path / "student")]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("method", ["at_gradient", "kd+at_gradient"])
def test_a_method_that_needs_single_samples_refuses_mixing_by_name(method: str, tmp_path: Path) -> None:
    with pytest.raises(TutelageError, match=r"data\.mixup=0\.8 and data\.cutmix=1 .*method=at_gradient needs"):
        distill(**RUN, teacher="runs/teacher", student="resnet8", method=method, out=tmp_path / "run")
    with pytest.raises(TutelageError, match=r"data\.cutmix=0\.5 .*method=at_gradient .*data\.cutmix=0"):
        check_mixing(DataSettings(name="digits", cutmix=0.5), {"at_gradient": METHODS["at_gradient"]()})


def test_a_term_that_reads_labels_refuses_mixing_by_name_unless_its_method_accepts_soft_labels() -> None:
    term = Term("own", 1.0, (LOGITS, LABELS), (), lambda: None, lambda logits, target, labels: logits.sum())
    stages = [Stage("train", 1, (term,))]
    mixed, plain = DataSettings(name="digits", mixup=1.0), DataSettings(name="digits")
    with pytest.raises(TutelageError, match=r"data\.mixup=1 mixes labels, but the term own .*data\.mixup=0"):
        check_labels(mixed, {"none": METHODS["none"]()}, stages)

    class Soft(METHODS["none"]):  # type: ignore[misc]
        single_samples = False

    check_labels(mixed, {"soft": Soft()}, stages)
    check_labels(plain, {"none": METHODS["none"]()}, stages)


@pytest.mark.parametrize("case", [case for case in CASES if case.method != "none"], ids=str)
def test_methods_that_read_labels_or_indices_say_so_before_networks_are_built(case: Case) -> None:
    single = any(method.single_samples for method in case.methods().values())
    assert single == any(stage.terms_need_labels or stage.needs_index for stage in build(case).stages)


def test_what_does_not_mix_is_not_refused() -> None:
    whole, soft = {"at_gradient": METHODS["at_gradient"]()}, {"kd": METHODS["kd"](), "at": METHODS["at"]()}
    check_mixing(DataSettings(name="digits", randaugment=2), whole)
    check_mixing(DataSettings(name="digits", mixup=1.0, augment=False), whole)
    check_mixing(DataSettings(name="digits", mixup=1.0, cutmix=1.0), soft)
