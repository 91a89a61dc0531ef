"""The store of targets: what shares a record, what is refused, what is found to be wrong."""

from __future__ import annotations

import functools
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from harness.cases import BY_NAME, CASES, batch, build
from harness.marks import quickly
from tutelage.distillation import CacheSettings, StoredTargets, TargetCache
from tutelage.distillation.cache.encoding import TopK
from tutelage.terms import Term

HALF = 2**-11
"""The largest relative error of rounding to 16 bits."""
ROWS = np.array([8, 3, 5, 0])
QUICK = {"kd", "kd-ensemble-probabilities", "at", "fsp", "kd+at", "nst-last", "fitnets-joint"}


def opened(folder: Path, identity: dict[str, Any] | None = None, **settings: Any) -> TargetCache:
    return TargetCache(CacheSettings(views="all", folder=folder, **settings), identity or {"teacher": "a"}, 9)


@functools.cache
def taught(case: str) -> tuple[tuple[Term, ...], list[Tensor]]:
    """Returns the terms of a case's stage, and their targets of four images."""
    distiller = build(BY_NAME[case])
    return distiller.stage.terms, distiller.targets(*batch(len(ROWS)))


def targets_of(case: str, cache: TargetCache) -> tuple[StoredTargets, list[Tensor]]:
    """Returns the store of a case's stage, and its targets of four images."""
    terms, targets = taught(case)
    return StoredTargets(cache, terms, [tuple(target.shape[1:]) for target in targets]), targets


@pytest.mark.parametrize("case", quickly([case.name for case in CASES], QUICK))
def test_targets_come_back_rounded(case: str, tmp_path: Path) -> None:
    if any(term.kept is None and term.teacher_taps for term in taught(case)[0]):
        pytest.skip("its targets cannot be stored")
    stored, targets = targets_of(case, opened(tmp_path))
    stored.write(2, ROWS, targets)
    found = targets_of(case, opened(tmp_path))[0].read(2, ROWS[::-1])
    assert found is not None
    for old, new in zip(targets, found):
        torch.testing.assert_close(new, old.flip(0), rtol=HALF, atol=2**-25)


def test_a_batch_is_there_when_all_targets_of_all_samples_are(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    (logits, targets), (both, _) = targets_of("kd", cache), targets_of("kd+at", cache)
    logits.write(0, ROWS, targets)
    assert logits.present(0, np.arange(9)).tolist() == [row in ROWS for row in range(9)]
    assert logits.read(0, ROWS) is not None
    assert logits.read(0, np.arange(4)) is None
    assert logits.read(1, ROWS) is None
    assert logits.read(0, ROWS) is not None
    assert both.read(0, ROWS) is None
    assert not both.present(0, ROWS).any()


def test_methods_share_the_targets_they_have_in_common(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    for case in ("kd+at", "kd", "at", "kd-label-free"):
        stored, targets = targets_of(case, cache)
        assert (stored.read(0, ROWS) is None) == (case == "kd+at")
        stored.write(0, ROWS, targets)
    kinds = sorted(path.name.split("-")[0] for path in cache.folder.iterdir() if path.is_dir())
    assert kinds == ["attention", "attention", "attention", "logits"]


def test_what_makes_another_target_is_stored_apart(tmp_path: Path) -> None:
    halves, exact, few = opened(tmp_path), opened(tmp_path, dtype="fp32"), opened(tmp_path, top_k=2)
    assert halves.folder == exact.folder == few.folder
    for cache in (halves, exact, few):
        stored, targets = targets_of("kd", cache)
        assert stored.read(0, ROWS) is None
        stored.write(0, ROWS, targets)
    for case in ("at", "at-paper-max"):
        assert targets_of(case, halves)[0].read(0, ROWS) is None
        stored, targets = targets_of(case, halves)
        stored.write(0, ROWS, targets)
    (found,) = targets_of("kd", exact)[0].read(0, ROWS) or []
    assert torch.equal(found, targets_of("kd", exact)[1][0])


def test_the_size_of_a_record_is_what_files_hold(tmp_path: Path) -> None:
    stored, targets = targets_of("kd+at", opened(tmp_path))
    stored.write(0, ROWS, targets)
    arrays = [np.load(path) for path in stored.cache.folder.rglob("*.npy")]
    assert len(arrays) == 4
    assert sum(array.nbytes for array in arrays) == 9 * stored.record_bytes


def test_a_term_without_teacher_needs_no_record(tmp_path: Path) -> None:
    distiller = build(BY_NAME["at_gradient-symmetry"])
    stored = StoredTargets(opened(tmp_path), distiller.stage.terms, [(0,)])
    found = stored.read(0, ROWS)
    assert found is not None
    assert found[0].numel() == 0
    assert not list(tmp_path.rglob("*.npy"))


@pytest.mark.parametrize("case", ["kd", "at", "nst-last"])
@pytest.mark.parametrize("error", [0.5, 2.0])
def test_targets_that_are_off_are_found_and_rounding_is_not(case: str, error: float, tmp_path: Path) -> None:
    stored, targets = targets_of(case, opened(tmp_path))
    stored.write(0, ROWS, targets)
    found = stored.read(0, ROWS)
    assert found is not None
    assert stored.changed(found, targets, 1e-3) is None
    last = targets[-1].clone()
    last[2] += error * 0.1 * last.abs().amax()
    name = {"kd": "kd", "at": "at.layer3", "nst-last": "nst.layer3.0.add"}[case]
    assert stored.changed(found, [*targets[:-1], last], 0.1) == (name if error > 1 else None)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 0.0, 1e4])
@pytest.mark.parametrize("top_k", [None, 2])
def test_no_value_passes_for_another(value: float, top_k: int | None, tmp_path: Path) -> None:
    stored, (logits,) = targets_of("kd", opened(tmp_path, top_k=top_k, dtype="fp32"))
    assert stored.changed([torch.full_like(logits, value)], [logits], 0.1) == "kd"
    ruled_out = logits.index_fill(1, torch.tensor([0]), value)
    encoding = TopK(5, 2, "fp32")
    kept = ruled_out if top_k is None else encoding.decode(encoding.encode(ruled_out))
    assert stored.changed([kept], [ruled_out], 0.1) is None


def test_either_of_two_classes_alike_may_be_among_the_k(tmp_path: Path) -> None:
    stored, _ = targets_of("kd", opened(tmp_path, top_k=2))
    first = torch.tensor([[4.0, 1.0, 1.0001, -1.0, -2.0]])
    second = torch.tensor([[4.0, 1.0001, 1.0, -1.0, -2.0]])
    stored.write(0, np.array([0]), [first])
    found = stored.read(0, np.array([0]))
    assert found is not None
    assert stored.changed(found, [second], 1e-2) is None


def test_an_identity_has_a_folder_of_its_own_that_says_what_it_is(tmp_path: Path) -> None:
    first, other = opened(tmp_path, {"teacher": "a", "views": 1}), opened(tmp_path, {"teacher": "b", "views": 1})
    assert first.folder != other.folder
    assert first.folder == opened(tmp_path, {"views": 1, "teacher": "a"}).folder
    assert json.loads((first.folder / "identity.json").read_text()) == {"teacher": "a", "views": 1}


def test_the_folder_is_that_of_the_environment_where_none_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUTELAGE_CACHE", str(tmp_path / "there"))
    cache = TargetCache(CacheSettings(views=1), {"teacher": "a"}, 9)
    assert cache.folder.parent == tmp_path / "there" / "targets"


def test_a_foreign_folder_is_emptied_with_a_warning(tmp_path: Path) -> None:
    stored, targets = targets_of("kd", opened(tmp_path))
    stored.write(0, ROWS, targets)
    identity = stored.cache.folder / "identity.json"
    own = identity.read_text()
    identity.write_text(own.replace('"a"', '"b"'))
    with pytest.warns(UserWarning, match="belongs to another teacher or other views"):
        cache = opened(tmp_path)
    assert identity.read_text() == own
    assert [path.name for path in cache.folder.iterdir()] == ["identity.json"]
    assert targets_of("kd", cache)[0].read(0, ROWS) is None


def test_a_folder_that_another_process_is_just_making_is_shared_with_it(tmp_path: Path) -> None:
    stored, targets = targets_of("kd", opened(tmp_path))
    (stored.cache.folder / "identity.json").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache = opened(tmp_path)
    stored.write(0, ROWS, targets)
    assert targets_of("kd", cache)[0].read(0, ROWS) is not None
    assert [path.name for path in tmp_path.glob("*/identity.json*")] == ["identity.json"]


def test_views_are_taken_in_turn() -> None:
    assert [CacheSettings(views=3).view(epoch) for epoch in range(7)] == [0, 1, 2, 0, 1, 2, 0]
    assert [CacheSettings(views="all").view(epoch) for epoch in range(4)] == [0, 1, 2, 3]
    assert [CacheSettings().view(epoch) for epoch in range(4)] == [0, 1, 2, 3]
    assert [CacheSettings(views=views).pool(5) for views in (3, 8, "all", "4")] == [3, 5, 5, 4]


@pytest.mark.parametrize("views", [0, -1, "0", "foo", 1.5, True, ""])
def test_a_number_of_views_is_a_number_or_all(views: object) -> None:
    with pytest.raises(ValidationError, match="at least 1, or all"):
        CacheSettings(views=views)
