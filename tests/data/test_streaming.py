"""Data read shard by shard: order, what is near at hand, room on the disk, runs that are cut."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from data.pictures import encode, picture
from data.shards import samples, write_tar
from harness.processes import FORKED, in_process, settle
from harness.steps import at_step
from tutelage import resume, train
from tutelage.data import DataSettings, EvalLoader, TrainLoader, load_digits, open_data
from tutelage.data.loader import Windows, shuffled
from tutelage.data.shards.streaming import IMAGES, SPANS, Shard, StreamedImages
from tutelage.data.source import ShardError
from tutelage.data.sources.image_folder import read_folder
from tutelage.data.split import carve_from_shards
from tutelage.errors import TutelageError
from tutelage.runs.folder import RunFolder

PICTURES = [encode(picture(seed, 70 + seed % 7, 90), "JPEG") for seed in range(40)]
LABELS = [0, 1] * 20


# The order


def test_a_window_of_all_shards_is_no_window() -> None:
    rows = np.setdiff1d(np.arange(500), np.arange(0, 500, 7))
    starts = np.arange(0, 500, 50)
    plain = shuffled(rows, 3, 5)
    assert np.array_equal(shuffled(rows, 3, 5, Windows(starts, 10)), plain)
    assert np.array_equal(np.sort(shuffled(rows, 3, 5, Windows(starts, 3))), rows)


def test_few_shards_are_in_use_at_a_time_and_they_are_mixed() -> None:
    rows, starts = np.arange(10_000), np.arange(0, 10_000, 100)
    order = shuffled(rows, 0, 1, Windows(starts, 8))
    shards = order // 100
    for window in range(0, 9600, 800):
        assert len(np.unique(shards[window : window + 800])) == 8
        first = np.unique(shards[window : window + 64])
        assert len(first) == 8  # a batch has images of all of them
    assert (shards[1:] == shards[:-1]).mean() < 0.2  # 1/8 where they are mixed well
    other = shuffled(rows, 0, 2, Windows(starts, 8)) // 100
    partners = [set(part[:800].tolist()) for part in (shards, other)]
    assert partners[0] != partners[1]  # another epoch, other shards beside each other
    assert not np.array_equal(shuffled(rows, 1, 1, Windows(starts, 8)), order)


def test_shards_of_different_length_and_rows_left_out() -> None:
    starts = np.array([0, 10, 11, 60])
    rows = np.array([3, 9, 10, 12, 59, 60, 99])
    order = shuffled(rows, 0, 0, Windows(starts, 1))
    own = np.searchsorted(starts, order, side="right")
    assert sorted(order) == sorted(rows) and (np.diff(own) != 0).sum() == 3


@pytest.mark.parametrize("count", [1, 4, 10, 40])
def test_validation_is_carved_from_few_shards(count: int) -> None:
    labels = np.random.default_rng(0).integers(0, 4, 800)
    starts = np.arange(0, 800, 800 // count)
    held_out = carve_from_shards(starts, labels, np.arange(800), 0.1, 0, "abcd")
    assert 70 < len(held_out) < 90
    touched = np.unique(np.searchsorted(starts, held_out, side="right"))
    assert len(touched) <= max(1, count // 4 + 1)
    assert set(labels[held_out]) == {0, 1, 2, 3}


# Parquet files and tar shards of one set of pictures


@pytest.fixture
def parquet(make_parquet) -> Path:  # type: ignore[no-untyped-def]
    cuts = range(0, 40, 5)
    files = {f"train-{cut:02d}": (PICTURES[cut : cut + 5], LABELS[cut : cut + 5]) for cut in cuts}
    return make_parquet({**files, "validation-0": (PICTURES[:4], LABELS[:4])}, ["x", "y"])


@pytest.fixture
def tar(tmp_path: Path, cache: Path) -> Path:
    root = tmp_path / "tars"
    for cut in range(0, 40, 5):
        write_tar(root / f"train-{cut:02d}.tar", samples(PICTURES[cut : cut + 5], LABELS[cut : cut + 5], "jpg", cut))
    write_tar(root / "validation-0.tar", samples(PICTURES[:4], LABELS[:4], "jpg"))
    return root


def streamed(root: Path, **more: Any) -> DataSettings:
    return DataSettings(name=str(root), **{"size": 48, "workers": 0, "stream": True, "window": 2, **more})


@pytest.mark.parametrize("kind", ["parquet", "tar"])
def test_any_number_of_processes_and_workers_sees_the_same_batches(kind: str, request: pytest.FixtureRequest) -> None:
    root = request.getfixturevalue(kind)
    data = open_data(streamed(root))
    plain = open_data(DataSettings(name=str(root), size=48, workers=0))
    views = [view for batch in TrainLoader(plain.train, 8, 0).epoch(3) for view in zip(batch.index, batch.images)]
    whole = {int(row): image for row, image in views}
    alone = list(TrainLoader(data.train, 8, 0).epoch(3))
    assert sorted(torch.cat([batch.index for batch in alone]).tolist()) == list(range(40))
    for batch in alone:
        assert len(np.unique(batch.index // 5)) <= 4  # a batch begins in one window and ends in the next
        for row, image in zip(batch.index, batch.images):
            assert torch.equal(image, whole[int(row)])  # the views are those of data that are not streamed
    shares = [list(TrainLoader(data.train, 8, 0, rank, 2).epoch(3)) for rank in range(2)]
    working = list(TrainLoader(open_data(streamed(root, workers=2)).train, 8, 0).epoch(3))
    later = list(TrainLoader(data.train, 8, 0).epoch(3, first=2))
    for step, batch in enumerate(alone):
        for part in range(3):
            assert torch.equal(torch.cat([share[step][part] for share in shares]), batch[part])
            assert torch.equal(working[step][part], batch[part])
            assert step < 2 or torch.equal(later[step - 2][part], batch[part])
    assert data.validation is not None
    assert torch.cat([batch.index for batch in EvalLoader(data.validation, 3)]).tolist() == [0, 1, 2, 3]


def test_opening_copies_no_more_than_the_first_shard(parquet: Path, cache: Path) -> None:
    open_data(streamed(parquet))
    (labels,) = (cache / "labels").iterdir()
    copies = sorted(path.parent.relative_to(cache / "shards" / labels.name).as_posix() for path in cache.rglob(IMAGES))
    assert copies == ["train/00000"]


def test_small_images_are_not_all_decoded_beforehand(tmp_path: Path, cache: Path) -> None:
    small = [encode(picture(seed, 24, 24)) for seed in range(20)]
    for cut in (0, 10):
        write_tar(tmp_path / "tars" / f"train-{cut}.tar", samples(small[cut : cut + 10], LABELS[:10], first=cut))
    data = open_data(streamed(tmp_path / "tars", size=None))
    assert data.size == (24, 24) and not (cache / "images").exists()
    assert data.held_out and len(data.train) + len(data.held_out) == 20


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"name": "digits", "stream": True}, "data.stream=true only applies to shards, and digits"),
        (
            {"name": "FOLDER", "stream": True},
            "has none; write shards with tutelage data pack data=.*pictures out=FOLDER",
        ),
        ({"name": "nowhere", "stream": True}, "no such folder"),
    ],
)
def test_what_cannot_be_streamed(make_folder, settings: dict[str, Any], message: str) -> None:  # type: ignore[no-untyped-def]
    root = make_folder({"train": {"cat": 3, "dog": 3}})
    with pytest.raises(TutelageError, match=message):
        open_data(DataSettings(**{**settings, "name": str(root) if settings["name"] == "FOLDER" else settings["name"]}))


def test_settings_of_streaming_need_streaming() -> None:
    for more in ({"window": 4}, {"disk_gb": 1.0}):
        with pytest.raises(ValueError, match="set data.stream=true"):
            DataSettings(name="digits", **more)  # type: ignore[arg-type]


# What is near at hand


def write(content: bytes, folder: Path) -> None:
    """Makes a shard's copy: ten images, each its own byte over and over."""
    size = len(content) // 10
    (folder / IMAGES).write_bytes(content)
    np.save(folder / SPANS, np.array([[size * row, size] for row in range(10)]))


def images(count: int, window: int, limit: int | None = None, size: int = 1000, copy: Any = write) -> StreamedImages:
    shards = []
    for number in range(count):
        content = b"".join(bytes([10 * number + row]) * (size // 10) for row in range(10))
        shards.append(Shard(f"shard {number}", 10, size, partial(copy, content)))
    return StreamedImages(shards, np.zeros(10 * count, dtype=np.int64), "set/train", window, limit)


def test_the_plan_is_the_next_window_behind_the_last_two(cache: Path) -> None:
    stream = images(12, 2)
    groups = np.split(shuffled(np.arange(120), 0, 0, Windows(stream.starts, 2)), 24)
    plan = stream.plan(list(groups))
    seen: list[int] = []
    for group, near in zip(groups, plan):
        seen += [shard for shard in dict.fromkeys((group // 10).tolist()) if shard not in seen]
        assert set(group // 10) <= set(near)
        begun = [shard for shard in near if shard in seen]
        assert begun == seen[-4:] and len(near) - len(begun) == min(2, 12 - len(seen))
    assert stream.plan([]) == []


def test_shards_come_before_they_are_read(cache: Path) -> None:
    arrived = Event()

    def copy(content: bytes, folder: Path) -> None:
        write(content, folder)
        if content[0] == 30:
            arrived.set()

    stream = images(6, 2, copy=copy)
    stream.bring((0, 1, 3))
    assert arrived.wait(30)
    assert (cache / "shards/set/train/00003").exists() or stream.fetch(30)
    assert not (cache / "shards/set/train/00002").exists()
    assert stream.fetch(25) == bytes([25]) * 100 and (cache / "shards/set/train/00002" / IMAGES).is_file()


def test_the_limit_on_room_is_kept(cache: Path) -> None:
    most = 0

    def copy(content: bytes, folder: Path) -> None:
        nonlocal most
        write(content, folder)
        most = max(most, sum(path.stat().st_size for path in cache.rglob(IMAGES)))

    stream = images(12, 2, limit=6000, copy=copy)
    groups = list(np.split(shuffled(np.arange(120), 0, 0, Windows(stream.starts, 2)), 24))
    for group, near in zip(groups, stream.plan(groups)):
        stream._bring(near, lambda: False)  # what the thread does
        assert all(stream.fetch(row) == bytes([row]) * 100 for row in group.tolist())
    assert 5000 <= most <= 6000
    assert all(stream.fetch(row) == bytes([row]) * 100 for row in range(120))  # what was put away comes again
    assert most <= 6000  # by the reader itself, which makes room too
    with pytest.raises(TutelageError, match=r"data.disk_gb=5e-06 cannot hold three windows of 2 .*disk_gb=6e-06"):
        images(12, 2, limit=5000)
    images(3, 2, limit=3000)


def test_a_shard_that_another_process_evicts_does_not_end_the_prefetch(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = images(12, 1, limit=3000)
    for shard in range(3):
        stream.copy(shard)
    stat = Path.stat

    def evicted_when_looked_at(path: Path, **more: Any) -> os.stat_result:
        if path.name == IMAGES and path.parent.name == "00001":
            shutil.rmtree(path.parent, ignore_errors=True)
        return stat(path, **more)

    with monkeypatch.context() as other:
        other.setattr(Path, "stat", evicted_when_looked_at)
        stream._bring((5, 6), lambda: False)  # what the thread does
    folders = sorted(path.name for path in stream._folder(0).parent.glob("0*"))
    assert {"00005", "00006"} <= set(folders) and len(folders) <= 3


def write_and_measure(root: Path, limit: int, content: bytes, folder: Path) -> None:
    write(content, folder)
    found = 0
    for path in root.rglob(IMAGES):
        with suppress(FileNotFoundError):
            found += path.stat().st_size
    if found > limit:
        (root / "exceeded").touch()


def read_everything(root: Path, first: int) -> None:
    settle()
    os.environ["TUTELAGE_CACHE"] = str(root)
    stream = images(12, 1, limit=4000, copy=partial(write_and_measure, root, 4000))
    for row in [*range(first, 120), *range(first)] * 3:
        stream.bring((row // 10, (row // 10 + 1) % 12))
        assert stream.fetch(row) == bytes([row]) * 100


def test_processes_keep_the_limit_together(tmp_path: Path) -> None:
    readers = [FORKED.Process(target=read_everything, args=(tmp_path, first)) for first in (0, 60)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert [reader.exitcode for reader in readers] == [0, 0]
    assert not (tmp_path / "exceeded").exists()


def test_copies_left_by_a_dead_process_are_made_anew(cache: Path) -> None:
    stream = images(2, 1)
    partial_copy = cache / "shards/set/train/.00001.partial"
    partial_copy.mkdir(parents=True)
    (partial_copy / IMAGES).write_bytes(b"half")
    again = pickle.loads(pickle.dumps(stream))
    assert again.fetch(15) == bytes([15]) * 100 and not partial_copy.exists()
    shutil.rmtree(cache / "shards")
    assert stream.fetch(15) == bytes([15]) * 100


def test_a_shard_that_cannot_be_had_stops_the_run_even_where_broken_images_are_left_out(
    parquet: Path, cache: Path
) -> None:
    for workers in (0, 2):
        data = open_data(streamed(parquet, skip_broken=True, workers=workers))
        content = (parquet / "train-20.parquet").read_bytes()
        (parquet / "train-20.parquet").write_bytes(b"gone bad")
        shutil.rmtree(cache / "shards")
        with pytest.raises(ShardError, match=r"train-20.parquet cannot be fetched .*tutelage resume"):
            list(TrainLoader(data.train, 8, 0).epoch(0))
        assert not list(cache.rglob(".*.partial"))
        (parquet / "train-20.parquet").write_bytes(content)


# Runs


RUN: dict[str, Any] = {
    "model": "resnet8",
    "epochs": 2,
    "batch_size": 20,
    "precision": "fp32",
    "compile": "off",
    "device": "cpu",
    "optimizer": {"name": "sgd", "lr": 0.05},
    "loggers": [],
    "checkpoint_minutes": 0,
}
STEPS = 4
"""Steps an epoch: 90 of 100 digits, the rest held out."""


def digits_parquet(make_parquet: Any) -> Path:
    pixels, labels = load_digits()
    pictures = [encode(Image.fromarray((row * 15).astype(np.uint8)).resize((24, 24))) for row in pixels[:100]]
    names = [str(number) for number in range(10)]
    return make_parquet(
        {f"train-{cut:03d}": (pictures[cut : cut + 10], labels[cut : cut + 10].tolist()) for cut in range(0, 100, 10)},
        names,
    )


def cut(run: dict[str, Any], folder: Path, cache: Path, step: int) -> None:
    """Trains until the end of a step of that number, and is killed."""
    settle()
    os.environ["TUTELAGE_CACHE"] = str(cache)
    at_step(step, lambda: os.kill(os.getpid(), signal.SIGKILL))
    train(**run, out=folder)


@pytest.mark.parametrize("kind", [pytest.param("parquet", marks=pytest.mark.chaos), "tar"])
def test_killed_within_an_epoch_and_resumed_is_the_same(
    kind: str, make_parquet: Any, tmp_path: Path, cache: Path
) -> None:
    root = digits_parquet(make_parquet)
    if kind == "tar":
        source = open_data(streamed(root, size=None)).train.samples.encoded  # type: ignore[attr-defined]
        for start in range(0, 100, 10):
            rows = range(start, start + 10)
            members = samples([source.fetch(row) for row in rows], source.labels[list(rows)].tolist(), first=start)
            write_tar(tmp_path / "tars" / f"train-{start:03d}.tar", members)
        root = tmp_path / "tars"
    run = {**RUN, "data": {"name": str(root), "stream": True, "window": 3, "workers": 0}}
    killed, elsewhere = tmp_path / "killed", tmp_path / "another cache"
    assert in_process(cut, run, killed, elsewhere, STEPS + 2) == -signal.SIGKILL
    checkpoint, _ = RunFolder(tmp_path / "killed").load_checkpoint()
    assert checkpoint is not None
    assert (checkpoint.progress.epoch, checkpoint.step) == (1, 1)
    resume(tmp_path / "killed")
    whole = train(**{**run, "data": {**run["data"], "workers": 1}}, out=tmp_path / "whole")
    weights = [(tmp_path / name / "student/model.safetensors").read_bytes() for name in ("killed", "whole")]
    assert weights[0] == weights[1]
    assert whole.split == "validation"


def test_a_folder_of_classes_and_its_shards_give_the_same_images(make_folder, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    root = make_folder({"train": {"cat": 6, "dog": 6}, "val": {"cat": 2, "dog": 2}})
    source = read_folder(root).splits["train"]
    write_tar(tmp_path / "tars/train-0.tar", samples([source.fetch(row) for row in range(12)], source.labels.tolist()))
    batches = []
    for name in (root, tmp_path / "tars"):
        data = open_data(DataSettings(name=str(name), size=48, workers=0, validation=0.2))
        batches.append(next(TrainLoader(data.train, 12, 0).epoch(0)))
    rows = [batch.index.tolist() for batch in batches]
    for row in set(rows[0]) & set(rows[1]):
        one, two = (batch.images[own.index(row)] for batch, own in zip(batches, rows))
        assert torch.equal(one, two)
