"""Runs on stored targets: they learn as under a live teacher, and what is stored is shared, checked and completed."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from harness.marks import quickly
from harness.pool import Pool
from harness.processes import kill_after, words
from harness.runs import IMAGES, SMALL
from harness.steps import Watch, watch
from harness.teachers import train_teachers
from tutelage import TutelageError, distill, resume
from tutelage.cli import app
from tutelage.config import DistillSettings, load
from tutelage.distillation import TargetCache
from tutelage.distillation.cache.records import Records
from tutelage.training import fill_cache
from tutelage.training.engine import build_engine
from tutelage.training.feeding.feed import build_feed
from tutelage.training.feeding.targets import RunTargets, fill, identity, open_targets
from tutelage.training.job.checks import warn_of_few_views
from tutelage.training.job.job import Job, build_job

KD_AT = ("attention", "attention", "attention", "logits")
"""The targets of method=kd+at."""
HALF = 2**-11
"""The largest relative error of rounding to 16 bits."""
RUN: dict[str, Any] = {**SMALL, "optimizer": {"name": "sgd", "lr": 0.02}}


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return [str(teacher) for teacher in train_teachers(tmp_path_factory.mktemp("teachers"), RUN, epochs=4)]


@pytest.fixture
def run(teachers: list[str], tmp_path: Path) -> dict[str, Any]:
    """A distillation of two epochs with a cache of its own."""
    pair = {"teacher": teachers[0], "student": "resnet8", "method": "kd", "epochs": 2}
    return {**RUN, **pair, "cache.views": "all", "cache.folder": str(tmp_path / "cache")}


def hits(folder: Path) -> list[float | None]:
    """Returns the share of stored batches in each epoch of a run."""
    return [json.loads(line).get("cache/hits") for line in (folder / "metrics.jsonl").read_text().splitlines()]


def student(folder: Path) -> bytes:
    return (folder / "student" / "model.safetensors").read_bytes()


def count(cache: Path) -> dict[tuple[str, int], int]:
    """Returns how many records there are of each target and view of the one identity in a folder."""
    (folder,) = cache.iterdir()
    return {
        (path.parent.parent.name.split("-")[0], int(path.parent.name)): int(np.count_nonzero(np.load(path)["checksum"]))
        for path in sorted(folder.rglob("*.npy"))
    }


def values(cache: Path) -> dict[str, np.ndarray]:
    return {
        str(path.relative_to(cache)): np.load(path)["payload"]["values"].astype(np.float32)
        for path in sorted(cache.rglob("*.npy"))
    }


def opened(settings: dict[str, Any]) -> tuple[Job, RunTargets]:
    job, engine = build_job(load(DistillSettings, settings)), build_engine("fp32", "cpu")
    targets = open_targets(job, engine)
    assert targets is not None
    return job, targets


JOINT = {"method": "fitnets", "fitnets.joint": True, "cache.features": True}
STORABLE: dict[str, dict[str, Any]] = {
    "kd": {"method": "kd"},
    "at": {"method": "at", "optimizer.lr": 1e-5},
    "fsp": {"method": "fsp", "fsp.epochs": 2, "epochs": 3},
    "fitnets": JOINT,
    "nst": {"method": "nst", "nst.layers": "last", "cache.features": True},
}


@pytest.mark.parametrize("case", quickly(STORABLE, {"kd"}))
def test_a_student_learns_from_a_cache_what_it_learns_from_a_live_teacher(
    case: str, run: dict[str, Any], tmp_path: Path
) -> None:
    # A gentle rate, for a student's steps magnify the least difference.
    settings = {**run, "batch_size": 13, "optimizer": {"name": "sgd", "lr": 1e-4}, **STORABLE[case]}

    def trained(name: str, **cache: Any) -> Watch:
        return watch(**settings, cache=cache, out=tmp_path / name)[1]

    live, cold, warm = trained("live", views=None), trained("cold"), trained("warm")
    assert len(live.losses) >= 20
    assert cold.losses[:20] == pytest.approx(live.losses[:20], rel=1e-3)
    assert warm.losses == cold.losses
    assert all(torch.equal(warm.students[-1][name], value) for name, value in cold.students[-1].items())
    shown = [hits(tmp_path / name)[:2] for name in ("live", "cold", "warm")]
    assert shown == [[None, None], [0.0, 0.0], [1.0, 1.0]]


@pytest.mark.parametrize("case", quickly(["at", "fitnets"], {"fitnets"}))
def test_targets_stored_in_full_precision_make_no_difference_at_all(
    case: str, run: dict[str, Any], tmp_path: Path
) -> None:
    settings = {**run, **STORABLE[case], "optimizer": {"name": "sgd", "lr": 0.05}}
    settings.pop("optimizer.lr", None)
    _, live = watch(**settings, cache={"views": None}, out=tmp_path / "live")
    _, cached = watch(**settings, cache={"dtype": "fp32"}, out=tmp_path / "cached")
    assert cached.losses == live.losses


def assert_rounded(stored: list[Tensor], live: list[Tensor]) -> None:
    assert len(stored) == len(live)
    for old, new in zip(stored, live):
        torch.testing.assert_close(old, new, rtol=HALF, atol=2**-25)


@pytest.mark.parametrize("case", quickly([*STORABLE, "ensemble"], {"kd", "at", "ensemble"}))
def test_stored_targets_are_those_of_a_live_teacher(case: str, run: dict[str, Any], teachers: list[str]) -> None:
    several = {"teacher": teachers, "kd.ensemble": "probabilities"}
    job, targets = opened({**run, **STORABLE.get(case, several)})
    feed, stored, engine = build_feed(job, torch.device("cpu")), targets.stages[0], build_engine("fp32", "cpu")
    job.distiller.enter(0)
    for epoch in range(2):
        for fed in feed.epoch(epoch, stored.read):
            assert fed.targets is None
            assert_rounded(fill(job, stored, fed, engine), job.distiller.targets(fed.images))
    # In another order, and on images that are drawn again.
    other = build_feed(
        build_job(load(DistillSettings, {**run, **STORABLE.get(case, several), "seed": 1})), torch.device("cpu")
    )
    for fed in other.epoch(1, stored.read):
        assert fed.targets is not None
        live = job.distiller.targets(fed.images)
        for old, new in zip(fed.targets, live):
            torch.testing.assert_close(old, new, rtol=2 * HALF, atol=1e-5)


@pytest.mark.chaos
def test_a_cold_and_a_warm_run_leave_the_same_student(run: dict[str, Any], tmp_path: Path) -> None:
    for name in ("cold", "warm"):
        distill(**{**run, "method": "kd+at", "out": tmp_path / name})
    assert student(tmp_path / "cold") == student(tmp_path / "warm")
    assert [hits(tmp_path / name) for name in ("cold", "warm")] == [[0.0, 0.0], [1.0, 1.0]]
    assert "cache 100 %" in (tmp_path / "warm" / "log.txt").read_text()
    assert "cache    2 views × 130 images × " in (tmp_path / "warm" / "log.txt").read_text()


@pytest.mark.chaos
def test_methods_and_seeds_share(run: dict[str, Any], tmp_path: Path) -> None:
    fill_cache(**run)
    assert count(tmp_path / "cache") == {("logits", 0): IMAGES, ("logits", 1): IMAGES}
    logits = values(tmp_path / "cache")
    watch(**{**run, "method": "kd+at", "seed": 1}, out=tmp_path / "both")
    assert count(tmp_path / "cache") == {(kind, view): IMAGES for kind in KD_AT for view in range(2)}
    for name, stored in logits.items():
        np.testing.assert_allclose(values(tmp_path / "cache")[name], stored, rtol=2 * HALF, atol=1e-5)
    for seed, method in ((2, "kd"), (3, "at")):
        watch(**{**run, "method": method, "seed": seed}, out=tmp_path / method)
        assert hits(tmp_path / method) == [1.0, 1.0]


@pytest.mark.chaos
def test_views_repeat_in_turn(run: dict[str, Any], tmp_path: Path) -> None:
    watch(**{**run, "cache.views": 2, "epochs": 5}, out=tmp_path / "run")
    assert hits(tmp_path / "run") == [0.0, 0.0, 1.0, 1.0, 1.0]
    assert count(tmp_path / "cache") == {("logits", 0): IMAGES, ("logits", 1): IMAGES}


@pytest.mark.parametrize(
    ("views", "epochs", "warned"),
    [(9, 30, True), (4, 5, True), (10, 30, False), (5, 5, False), (9, 3, False), ("all", 30, False), (None, 9, False)],
)
def test_few_views_are_warned_of_where_epochs_outnumber_them(views: object, epochs: int, warned: bool) -> None:
    settings = load(
        DistillSettings, {"data": "digits", "student": "resnet8", "cache": {"views": views}, "epochs": epochs}
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_few_views(settings)
    assert bool(caught) is warned


def test_only_stages_that_read_the_teacher_are_stored(run: dict[str, Any], tmp_path: Path) -> None:
    watch(**{**run, "method": "fsp", "fsp.epochs": 2, "epochs": 4}, out=tmp_path / "run")
    assert hits(tmp_path / "run") == [0.0, 0.0, None, None]
    assert count(tmp_path / "cache") == {("fsp", view): IMAGES for view in range(2)}


@pytest.mark.chaos
def test_later_stages_store_their_own_views(run: dict[str, Any], tmp_path: Path) -> None:
    settings = {**run, "method": "fitnets", "fitnets.hint_epochs": 1, "epochs": 3, "cache.features": True}
    filled = fill_cache(**settings)
    assert filled.computed == 3 * IMAGES
    assert count(tmp_path / "cache") == {("hint", 0): IMAGES, ("logits", 1): IMAGES, ("logits", 2): IMAGES}
    watch(**settings, out=tmp_path / "run")
    assert hits(tmp_path / "run") == [1.0, 1.0, 1.0]


def test_a_method_without_teacher_has_nothing_to_store(run: dict[str, Any], tmp_path: Path) -> None:
    settings = {**run, "method": "none"}
    watch(**settings, out=tmp_path / "run")
    assert hits(tmp_path / "run") == [None, None]
    assert not (tmp_path / "cache").exists()
    with pytest.raises(TutelageError, match="method=none has no teacher, so there is nothing to store"):
        fill_cache(**settings)


@pytest.mark.chaos
def test_a_term_without_teacher_joins_one_whose_targets_are_stored(run: dict[str, Any], tmp_path: Path) -> None:
    settings = {**run, "method": "kd+at_gradient", "at_gradient.form": "symmetry", "accumulate": 2, "epochs": 1}
    (_, cold), (_, warm) = (watch(**settings, out=tmp_path / name) for name in ("cold", "warm"))
    assert cold.losses == warm.losses
    assert [hits(tmp_path / name) for name in ("cold", "warm")] == [[0.0], [1.0]]
    assert count(tmp_path / "cache") == {("logits", 0): IMAGES}


def test_the_greatest_logits_alone(run: dict[str, Any], tmp_path: Path) -> None:
    settings = {**run, "cache.top_k": 3}
    _, seen = watch(**settings, out=tmp_path / "run")
    assert np.isfinite(seen.losses).all()
    job, targets = opened(settings)
    for fed in build_feed(job, torch.device("cpu")).epoch(1, targets.stages[0].read):
        (live,), (kept,) = job.distiller.targets(fed.images), fed.targets or []
        expected, places = live.softmax(1).topk(3)
        found = kept.softmax(1)
        torch.testing.assert_close(found.gather(1, places), expected, rtol=1e-2, atol=1e-6)
        others = found.scatter(1, places, 0.0).sort(1).values[:, 3:]
        torch.testing.assert_close(others.amin(1), others.amax(1))
    assert targets.stages[0].record_bytes == 4 + 4 + 3 * (2 + 2)


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({"method": "ofd"}, ["cache.views=all", "method=ofd", "statistics of each batch"]),
        ({"method": "kd+ofd"}, ["method=kd+ofd", "statistics of each batch"]),
        ({"data.mixup": 0.5}, ["cache.views=all", "data.mixup=0.5"]),
        ({"data.cutmix": 1.0, "cache.views": 12}, ["cache.views=12", "data.cutmix=1"]),
        ({"method": "nst"}, ["the term nst.layer1", "nst.layers=last"]),
        ({"method": "nst", "cache.features": True}, ["the term nst.layer1", "not worthwhile"]),
        ({"method": "nst", "nst.layers": "last"}, ["the term nst.layer3.0.add", "cache.features=true"]),
        ({"method": "at_gradient"}, ["the term at_gradient", "depend on other images"]),
        ({"method": "fitnets"}, ["the term hint.layer2", "cache.features=true"]),
        ({"method": "feature_maps"}, ["the term map.", "cache.features=true"]),
        ({"cache.top_k": 10}, ["cache.top_k=10", "10 classes"]),
        ({"cache.top_k": 11, "method": "kd+at"}, ["cache.top_k=11", "10 classes"]),
        ({"cache.top_k": 3, "method": "kd+dist"}, ["cache.top_k=3", "the term dist", "all classes"]),
        ({"cache.top_k": 3, "kd.standardize": True}, ["cache.top_k=3", "the term kd", "all classes"]),
        ({"cache.views": 0}, ["cache.views=0", "at least 1"]),
        ({"cache.views": "foo"}, ["cache.views=foo", "at least 1, or all"]),
        ({"cache.dtype": "bf16"}, ["cache.dtype=bf16", "fp16"]),
        ({"cache.view": 3}, ["cache.view", "views"]),
    ],
    ids=str,
)
def test_what_cannot_be_stored_is_refused_by_name_before_training(
    settings: dict[str, Any], parts: list[str], run: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(TutelageError) as error:
        distill(**{**run, **settings, "out": tmp_path / "run"})
    assert all(part in str(error.value) for part in parts), str(error.value)
    assert not (tmp_path / "run").exists()
    assert not list(tmp_path.rglob("*.npy"))


def test_a_disk_too_small_is_told_before_training(run: dict[str, Any], tmp_path: Path) -> None:
    settings = {**run, **JOINT, "data": "digits", "cache.dtype": "fp32"}
    _, targets = opened({**settings, "epochs": 1})
    epochs = 1 + 2 * shutil.disk_usage(tmp_path).free // targets.total_bytes
    with pytest.raises(TutelageError, match=r"the cache needs .*B more, and .* has .*B free; lower cache\.views"):
        distill(**{**settings, "epochs": epochs, "out": tmp_path / "run"})
    assert not (tmp_path / "run").exists()


SAME_FOLDER = [
    {"seed": 5, "student": "resnet14", "method": "kd+at", "batch_size": 13, "epochs": 7},
    {"cache.views": 3, "cache.dtype": "fp32", "cache.top_k": 2, "data.fraction": 0.2},
]
OTHER_FOLDER = [
    {"data.view_seed": 1},
    {"data.padding": 2},
    {"data.padding_mode": "reflect"},
    {"data.flip": True},
    {"data.randaugment": 1},
    {"data.augment": False},
    {"data.size": 20},
    {"teacher.input_size": 20},
    {"precision": "bf16"},
]


@pytest.mark.chaos
def test_each_teacher_view_and_precision_has_a_folder_of_its_own(run: dict[str, Any], teachers: list[str]) -> None:
    def folder(change: dict[str, Any]) -> Path:
        settings = {key: value for key, value in run.items() if key != "teacher"}
        job = build_job(load(DistillSettings, {**settings, "teacher.name": teachers[0], **change}))
        assert isinstance(job.settings, DistillSettings)
        return TargetCache(job.settings.cache, identity(job), 1).folder

    own = folder({})
    assert [folder(change) for change in SAME_FOLDER] == [own] * len(SAME_FOLDER)
    others = [{"teacher.name": teachers[1]}, {"teacher.name": teachers}, {"teacher.name": teachers[::-1]}]
    folders = [folder(change) for change in [*OTHER_FOLDER, *others]]
    assert len({own, *folders}) == 1 + len(folders)


DAMAGE: dict[str, Callable[[Tensor], Tensor]] = {
    "shifted": lambda logits: logits + 1,
    "negated": lambda logits: -logits,
    "of other images": lambda logits: logits.roll(1, 0),
    "not a number": lambda logits: torch.full_like(logits, float("nan")),
}


@pytest.mark.parametrize("damage", quickly(DAMAGE, {"of other images"}))
def test_records_that_are_not_the_teachers_are_found_and_made_anew(
    damage: str, run: dict[str, Any], tmp_path: Path
) -> None:
    settings = {**run, "epochs": 8}
    fill_cache(**{**settings, "epochs": 1})
    good = values(tmp_path / "cache")
    _, targets = opened(settings)
    stored = targets.stages[0]
    found = stored.read(0, targets.rows)
    assert found is not None
    stored.write(0, targets.rows, [DAMAGE[damage](found[0])])
    with pytest.warns(
        UserWarning, match="rebuilding the target cache .*: kd of view 0 differs from the teacher's current output"
    ):
        filled = fill_cache(**{**settings, "epochs": 1})
    assert filled.computed == IMAGES
    for name, array in values(tmp_path / "cache").items():
        np.testing.assert_array_equal(array, good[name])


@pytest.mark.chaos
def test_a_truncated_file_is_made_anew_and_the_others_are_kept(run: dict[str, Any], tmp_path: Path) -> None:
    fill_cache(**run)
    good = values(tmp_path / "cache")
    (path,) = (tmp_path / "cache").glob("*/logits-*/00001/00000.npy")
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.warns(UserWarning, match="recomputing the targets in .*, which is damaged"):
        watch(**run, out=tmp_path / "run")
    assert hits(tmp_path / "run") == [1.0, 0.0]
    for name, array in values(tmp_path / "cache").items():
        np.testing.assert_allclose(array, good[name], rtol=2 * HALF, atol=1e-5)


def test_a_damaged_record_is_computed_again_with_its_batch(run: dict[str, Any], tmp_path: Path) -> None:
    fill_cache(**run)
    (path,) = (tmp_path / "cache").glob("*/logits-*/00000/00000.npy")
    records = np.load(path, mmap_mode="r+")
    row = int(np.flatnonzero(records["checksum"])[7])
    records["payload"]["values"][row] += 1
    records.flush()
    watch(**run, out=tmp_path / "run")
    assert hits(tmp_path / "run") == [0.8, 1.0]
    watch(**run, out=tmp_path / "again")
    assert hits(tmp_path / "again") == [1.0, 1.0]


def test_a_foreign_folder_is_not_read(run: dict[str, Any], tmp_path: Path) -> None:
    fill_cache(**run)
    (path,) = (tmp_path / "cache").glob("*/identity.json")
    own = path.read_text()
    path.write_text(own.replace('"precision": "fp32"', '"precision": "bf16"'))
    with pytest.warns(UserWarning, match="belongs to another teacher or other views"):
        filled = fill_cache(**run)
    assert filled.computed == 2 * IMAGES
    assert path.read_text() == own


def test_a_killed_filling_goes_on_where_it_was(run: dict[str, Any], tmp_path: Path) -> None:
    settings = {**run, "method": "kd+at"}
    # Of four targets a batch: seven batches, and two targets of the eighth.
    said = kill_after(7 * 4 + 2, Records, "write", "cache", settings)
    assert said.startswith("cache    2 views × 130 images × ")
    assert "computed" not in said
    kept = values(tmp_path / "cache")
    filled = fill_cache(**settings)
    assert filled.computed == 3 * SMALL["batch_size"]
    fill_cache(**{**settings, "cache.folder": str(tmp_path / "whole")})
    assert count(tmp_path / "cache") == count(tmp_path / "whole")
    whole = values(tmp_path / "whole")
    for name, array in values(tmp_path / "cache").items():
        np.testing.assert_allclose(array, whole[name], rtol=2 * HALF, atol=1e-5)
        before = kept.get(name, np.zeros_like(array))
        there = before.any(tuple(range(1, before.ndim)))
        np.testing.assert_array_equal(array[there], before[there])
    assert fill_cache(**settings).computed == 0


@pytest.mark.chaos
def test_a_killed_run_resumes_bit_for_bit(run: dict[str, Any], tmp_path: Path) -> None:
    settings = {**run, "method": "kd+at", "epochs": 4, "ema": 0.9, "accumulate": 2}
    whole = distill(**{**settings, "cache.folder": str(tmp_path / "other")}, out=tmp_path / "whole")
    # In the third epoch: of four targets a batch, two batches and one target of the next.
    kill_after((2 * 5 + 2) * 4 + 1, Records, "write", "distill", {**settings, "out": str(tmp_path / "killed")})
    assert hits(tmp_path / "killed") == [0.0, 0.0]
    resumed = resume(tmp_path / "killed")
    assert student(tmp_path / "killed") == student(tmp_path / "whole")
    assert hits(tmp_path / "killed") == [0.0, 0.0, 0.4, 0.0]
    assert (resumed.top1, resumed.best_top1, resumed.best_epoch) == (whole.top1, whole.best_top1, whole.best_epoch)


def fill_on_one_rank(rank: int, settings: dict[str, Any]) -> int:
    return fill_cache(**settings).computed


@pytest.mark.chaos
def test_two_processes_share_the_filling(run: dict[str, Any], pool: Pool, tmp_path: Path) -> None:
    settings = {**run, "method": "kd+at"}
    assert pool.run(fill_on_one_rank, settings) == [2 * IMAGES, 2 * IMAGES]
    assert count(tmp_path / "cache") == {(kind, view): IMAGES for kind in KD_AT for view in range(2)}
    assert pool.run(fill_on_one_rank, settings) == [0, 0]
    watch(**settings, out=tmp_path / "run")
    assert hits(tmp_path / "run") == [1.0, 1.0]


def test_the_command_says_how_much_before_and_how_much_was_computed(run: dict[str, Any], tmp_path: Path) -> None:
    shown = [CliRunner().invoke(app, ["cache", *words(run)]) for _ in range(2)]
    assert [result.exit_code for result in shown] == [0, 0], [result.exception for result in shown]
    (first, second), (again, nothing) = (result.output.splitlines() for result in shown)
    (folder,) = (tmp_path / "cache").iterdir()
    assert first == f"cache    2 views × 130 images × 24 bytes = 6.2 kB, 0 % stored; {folder}"
    assert second.startswith("computed 260 of them in ")
    assert again == f"cache    2 views × 130 images × 24 bytes = 6.2 kB, 100 % stored; {folder}"
    assert nothing.startswith("computed 0 of them in ")


def test_the_command_needs_to_be_told_how_many_views(run: dict[str, Any]) -> None:
    settings = {key: value for key, value in run.items() if key != "cache.views"}
    with pytest.raises(TutelageError, match="cache.views is missing; set it to the number of views"):
        fill_cache(**settings)
