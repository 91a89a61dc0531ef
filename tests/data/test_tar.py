from __future__ import annotations

import gzip
import json
import os
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from data.pictures import encode, picture
from data.shards import samples, write_tar
from tutelage.data import DataSettings, EvalLoader, TrainLoader, open_data
from tutelage.data.sources.tar import read_tar
from tutelage.errors import TutelageError

IMAGES = [encode(picture(seed, 70 + seed, 90), "JPEG") for seed in range(12)]
LABELS = [0, 1, 2] * 4
NAMES = ["ant", "bee", "cow"]
TRAIN = samples(IMAGES, LABELS, "jpg")
SOME = samples(IMAGES[:3], LABELS[:3], "jpg")


@pytest.fixture
def root(tmp_path: Path, cache: Path) -> Path:
    return tmp_path / "shards"


@pytest.mark.parametrize(
    "files, counts",
    [
        (["train-0000.tar", "train-0001.tar", "val-0000.tar", "test-0000.tar"], (24, 3, 3)),
        (["train/0000.tar", "train/0001.tar", "val/0000.tar"], (24, 3, 0)),
        (["imagenet1k-train-0000.tar", "imagenet1k-validation-00.tar"], (12, 3, 0)),
        (["data/train-0000-of-0001.tar", "data/test-0.tar"], (11, 1, 3)),
        (["0000.tar", "0001.tar"], (22, 2, 0)),
    ],
)
def test_layouts(root: Path, files: list[str], counts: tuple[int, int, int]) -> None:
    for name in files:
        bare = "val" not in name and "test" not in name
        write_tar(root / name, TRAIN if bare else SOME)
    (root / "classes.json").write_text(json.dumps(NAMES))
    data = open_data(DataSettings(name=str(root), size=48, workers=0, validation=0.1))
    assert data.classes == tuple(NAMES) and data.name == "shards"
    found = [len(split) if split is not None else 0 for split in (data.train, data.validation, data.test)]
    assert sum(found) == sum(counts) and found[2] == counts[2]
    assert data.validation is not None and (found[1] == counts[1] or data.held_out)


@pytest.mark.parametrize("workers", [0, 2])
def test_images_are_read_where_they_lie(root: Path, cache: Path, workers: int) -> None:
    write_tar(root / "train-0.tar", TRAIN[:14])
    write_tar(root / "train-1.tar", TRAIN[14:])
    write_tar(root / "val-0.tar", SOME)
    images = read_tar(root).splits["train"]
    for copy in (images, pickle.loads(pickle.dumps(images))):
        assert [copy.fetch(row) for row in range(12)] == IMAGES and copy.labels.tolist() == LABELS
        assert copy.place(7) == f"{root / 'train-1.tar'}, 0007.jpg"
    data = open_data(DataSettings(name=str(root), size=48, workers=workers))
    assert data.classes == ("0", "1", "2") and data.train.windows is None
    batches = list(TrainLoader(data.train, 4, 0).epoch(0))
    assert [batch.images.shape for batch in batches] == [(4, 3, 48, 48)] * 3
    assert sorted(torch.cat([batch.index for batch in batches]).tolist()) == list(range(12))
    for batch in batches:
        assert batch.labels.tolist() == [LABELS[row] for row in batch.index]
    assert {folder.name for folder in cache.iterdir()} == {"locks", "tar"}  # the headers alone are kept


def test_any_number_of_processes_sees_the_same_batches(root: Path) -> None:
    write_tar(root / "train-0.tar", TRAIN[:10])
    write_tar(root / "train-1.tar", TRAIN[10:])
    data = open_data(DataSettings(name=str(root), size=48, workers=0, validation=0.3))
    alone = list(TrainLoader(data.train, 4, 7).epoch(2))
    shares = [list(TrainLoader(data.train, 4, 7, rank, 2).epoch(2)) for rank in range(2)]
    assert len(alone) == 2
    for step, batch in enumerate(alone):
        assert all(torch.equal(torch.cat([share[step][part] for share in shares]), batch[part]) for part in range(3))
    again = list(TrainLoader(data.train, 4, 7).epoch(2, first=1))
    assert torch.equal(again[0].images, alone[1].images)
    assert data.validation is not None
    assert sum(len(batch.index) for batch in EvalLoader(data.validation, 2)) == len(data.validation)


def test_labels_in_json_in_any_order_and_what_else_there_is(root: Path) -> None:
    members = [
        ("a/first.json", b'{"label": 1, "text": "a bee"}'),
        ("a/first.seg.png", b"a mask"),
        ("a/first.JPG", IMAGES[0]),
        ("second.cls", b" 0\n"),
        ("second.jpg", IMAGES[1]),
        ("second.json", b'{"label": 1}'),
        ("._second.jpg", b"what another system leaves"),
        ("notes.txt", b"nothing"),
    ]
    write_tar(root / "train-0.tar", members)
    (root / "classes.txt").write_text("ant\nbee\n")
    source = read_tar(root)
    images = source.splits["train"]
    assert images.labels.tolist() == [1, 0] and source.classes == ("ant", "bee")
    assert [images.fetch(row) for row in range(2)] == IMAGES[:2] and images.place(0).endswith("a/first.JPG")


def test_a_split_without_any_label_is_unlabelled(root: Path) -> None:
    write_tar(root / "train-0.tar", samples(IMAGES, [-1, *LABELS[1:]], "jpg"))
    write_tar(root / "test-0.tar", [member for member in SOME if member[0].endswith("jpg")])
    source = read_tar(root)
    assert source.splits["train"].labels.tolist() == [-1, *LABELS[1:]]
    assert source.splits["test"].labels.tolist() == [-1] * 3


def test_members_that_climb_out_are_names_and_no_more(root: Path) -> None:
    climbing = [
        ("../../evil.jpg", IMAGES[0]),
        ("../../evil.cls", b"0"),
        ("/tmp/evil.jpg", IMAGES[1]),
        ("/tmp/evil.cls", b"1"),
    ]
    write_tar(root / "train-0.tar", climbing + [(f"ok/{name}", content) for name, content in TRAIN])
    before = {path for path in root.parent.rglob("*") if "cache" not in path.parts}
    data = open_data(DataSettings(name=str(root), size=48, workers=0, validation=0.3))
    assert sum(len(batch.index) for batch in TrainLoader(data.train, 3, 0).epoch(0)) == 9
    assert {path for path in root.parent.rglob("*") if "cache" not in path.parts} == before
    assert not Path("/tmp/evil.jpg").exists()


WHOLE = "is not a complete, uncompressed tar file"


@pytest.mark.parametrize(
    "members, message",
    [
        ([*TRAIN, ("lonely.jpg", IMAGES[0])], r"train-0.tar, lonely.jpg has no label.*KEY.cls"),
        ([*TRAIN, ("lonely.cls", b"1")], "sample 'lonely' has a label but no image"),
        ([*TRAIN, ("odd.cls", b"cat"), ("odd.jpg", IMAGES[0])], "label of sample 'odd' is 'cat', not a class number"),
        ([*TRAIN, ("odd.json", b'{"label": 1.5}'), ("odd.jpg", IMAGES[0])], "label of sample 'odd' is 1.5"),
        ([*TRAIN, ("odd.cls", b"-2"), ("odd.jpg", IMAGES[0])], "label of sample 'odd' is -2"),
        ([*TRAIN, ("odd.cls", b"9" * 40), ("odd.jpg", IMAGES[0])], "label of sample 'odd' is 9999"),
        ([*TRAIN, ("odd.cls", b"3"), ("odd.jpg", IMAGES[0])], r"odd.jpg: label 3 is not one of the 3 classes"),
        ([*TRAIN, ("0000.png", IMAGES[0])], "sample '0000' has two images, 0000.jpg and 0000.png"),
    ],
)
def test_samples_that_are_not_right(root: Path, members: list[tuple[str, bytes]], message: str) -> None:
    write_tar(root / "train-0.tar", members)
    (root / "classes.json").write_text(json.dumps(NAMES))
    with pytest.raises(TutelageError, match=message):
        read_tar(root)


def cut_in_data(data: bytes) -> bytes:
    return data[:3000]


def cut_in_header(data: bytes) -> bytes:
    return data[: 512 + (len(IMAGES[0]) + 511) // 512 * 512 + 200]


def damaged_header(data: bytes) -> bytes:
    place = 512 + (len(IMAGES[0]) + 511) // 512 * 512
    return data[:place] + bytes(byte ^ 255 for byte in data[place : place + 300]) + data[place + 300 :]


@pytest.mark.parametrize("damage", [cut_in_data, cut_in_header, damaged_header, gzip.compress, lambda data: b""])
def test_damaged_shards(root: Path, damage) -> None:  # type: ignore[no-untyped-def]
    path = write_tar(root / "train-0.tar", TRAIN)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(TutelageError, match=f"train-0.tar {WHOLE}"):
        open_data(DataSettings(name=str(root)))


@pytest.mark.parametrize(
    "files, message",
    [
        (["train-0.tar", "extra-0.tar"], "the split of extra-0.tar is unclear"),
        (["test-0.tar"], "none named train-"),
        (["train-0.tar", "val-0.tar.gz"], "val-0.tar.gz is compressed.*decompress it to .tar"),
        (["train-0.tgz"], "train-0.tgz is compressed"),
    ],
)
def test_folders_that_are_not_right(root: Path, files: list[str], message: str) -> None:
    for name in files:
        write_tar(root / name, TRAIN)
    with pytest.raises(TutelageError, match=message):
        open_data(DataSettings(name=str(root)))


def test_an_archive_beside_images_is_left_alone(make_folder) -> None:  # type: ignore[no-untyped-def]
    root = make_folder({"train": {"cat": 6, "dog": 6}})
    write_tar(root / "train.tar", TRAIN)
    assert open_data(DataSettings(name=str(root), size=32, workers=0)).classes == ("cat", "dog")


def test_broken_images_in_shards_are_named_or_left_out(root: Path) -> None:
    broken = [*TRAIN, ("bad.jpg", IMAGES[0][:300]), ("bad.cls", b"0")]
    write_tar(root / "train-0.tar", broken)
    write_tar(root / "val-0.tar", SOME)
    settings = DataSettings(name=str(root), size=48, workers=0, skip_broken=True)
    data = open_data(settings)
    with pytest.warns(UserWarning, match=r"skipped .*train-0.tar, bad.jpg"):
        assert sum(len(batch.index) for batch in TrainLoader(data.train, 13, 0).epoch(0)) == 13
    with pytest.raises(TutelageError, match="bad.jpg is not a readable image"):
        open_data(settings.model_copy(update={"skip_broken": False}))


def test_reading_takes_no_memory_of_the_size_of_the_data(root: Path) -> None:
    noise = np.random.default_rng(0)
    many = [encode(picture(0, 8, 8)) + noise.bytes(50_000) for _ in range(200)]
    write_tar(root / "train-0.tar", samples(many, [0, 1] * 100))
    images = read_tar(root).splits["train"]
    assert len(pickle.dumps(images)) < 16 * len(images) + 4000
    tracemalloc.start()
    total = sum(len(images.fetch(row)) for row in range(len(images)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total > 10_000_000 and peak < 500_000


def test_shards_held_open_are_few(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(80):
        write_tar(root / f"train-{number:02d}.tar", samples(IMAGES[:1], [number % 2], "jpg"))
    images = read_tar(root).splits["train"]
    before = len(os.listdir("/proc/self/fd"))
    assert all(images.fetch(row) == IMAGES[0] for row in range(80))
    assert len(os.listdir("/proc/self/fd")) <= before + 64
