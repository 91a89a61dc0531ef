"""Opening data takes time in proportion to the images, and a command opens its data once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from harness.runs import SMALL
from tutelage import distill
from tutelage.data import hashing
from tutelage.data.opening import open_data
from tutelage.data.split import stratified


@pytest.mark.parametrize("share", [0.01, 0.1, 0.35, 1.0])
def test_a_stratified_choice_is_that_of_a_search_for_each_class(share: float) -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(-1, 40, 700) ** 2 // 40  # of very different frequency
    rows = np.sort(generator.choice(700, 500, replace=False))
    keys = dict(zip(rows.tolist(), _keys(rows, seed=3)))
    expected = []
    for label in set(labels[rows].tolist()):
        members = sorted((row for row in keys if labels[row] == label), key=keys.__getitem__)
        expected += members[: max(1, int(len(members) * share + 0.5))]
    assert stratified(labels, rows, share, 3).tolist() == sorted(expected)


def _keys(rows: np.ndarray[tuple[int], np.dtype[np.int64]], seed: int) -> list[int]:
    return hashing.bits(seed, 0, torch.from_numpy(rows), hashing.Stream.SPLIT).tolist()


def test_no_step_is_repeated_for_each_class() -> None:
    count = 300_000
    labels = np.arange(count) % 100_000
    # A search of all rows for each class would compare 3e10 numbers: minutes.
    taken = stratified(labels, np.arange(count), 0.5, 0)
    assert np.bincount(labels[taken]).tolist() == [2] * 100_000


def test_a_command_opens_its_data_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []

    def counted(settings: object) -> object:
        opened.append(settings)
        return open_data(settings)  # type: ignore[arg-type]

    monkeypatch.setattr("tutelage.training.job.job.open_data", counted)
    teacher = {"name": "resnet8", "finetune": "full", "epochs": 1}
    distill(**SMALL, teacher=teacher, student="resnet8", epochs=1, out=tmp_path / "run")
    assert len(opened) == 1
