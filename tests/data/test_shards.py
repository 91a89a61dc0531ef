"""``tutelage data pack``."""

from __future__ import annotations

import io
import itertools
import json
import os
import signal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from data.pictures import encode, picture
from harness.processes import FORKED
from tutelage.cli import app
from tutelage.data import DataSettings, Shrinking, TrainLoader, open_data, write_shards
from tutelage.data.source import Encoded
from tutelage.data.sources.image_folder import read_folder
from tutelage.data.sources.tar import read_tar
from tutelage.data.sources.tar_index import SCHEMA, TarIndex
from tutelage.errors import TutelageError

COUNTS = {"train": {"cat": 20, "dog": 20}, "val": {"cat": 4, "dog": 4}}


@pytest.fixture
def folder(make_folder) -> Path:  # type: ignore[no-untyped-def]
    """Images of 240×160 and 100×64, PNG."""
    return make_folder(COUNTS, ((240, 160), (100, 64)))


def pack(folder: Path, out: Path, **more: object) -> None:
    words = {"data": folder, "out": out, "size": 80, "shard_mb": 0.05, "workers": 0, **more}
    result = CliRunner().invoke(app, ["data", "pack", *(f"{key}={value}" for key, value in words.items())])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_large_images_become_small_and_small_ones_keep_their_bytes(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "packed"
    pack(folder, out)
    packed, originals = read_tar(out), read_folder(folder)
    assert packed.classes == ("cat", "dog")
    for split in ("train", "validation"):
        images, before = packed.splits[split], originals.splits[split]
        assert sorted(images.labels) == sorted(before.labels)
        for row in range(len(images)):
            number = int(images.place(row).rpartition("/")[2].split(" ")[-1].split(".")[0])
            data, original = images.fetch(row), before.fetch(number)
            assert images.labels[row] == before.labels[number]
            height, width = np.array(Image.open(io.BytesIO(original))).shape[:2]
            if min(height, width) <= 80:
                assert data == original
                continue
            opened = Image.open(io.BytesIO(data))
            assert opened.format == "JPEG" and opened.size == (80, 120)
            exact = Image.open(io.BytesIO(original)).resize((80, 120), Image.Resampling.BILINEAR)
            error = np.abs(np.asarray(opened, dtype=int) - np.asarray(exact, dtype=int))
            assert error.mean() < 3


def test_the_folder_is_a_data_set_in_shards_of_mixed_classes(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "packed"
    pack(folder, out)
    names = sorted(path.name for path in out.iterdir())
    shards = [name for name in names if name.startswith("train-")]
    assert len(shards) > 2 and names == ["classes.json", "index.arrow", *shards, "validation-00000.tar"]
    sizes = [(out / name).stat().st_size for name in shards]
    assert max(sizes) < 0.05e6 + 40_000
    labels = read_tar(out).splits["train"].labels
    assert 10 < int(np.abs(np.diff(labels)).sum()) < 30  # neighbours differ about half of the time
    for stream in (False, True):
        data = open_data(DataSettings(name=str(out), size=48, workers=0, stream=stream))
        assert sum(len(batch.index) for batch in TrainLoader(data.train, 8, 0).epoch(0)) == 40


def test_files_depend_on_the_seed_and_not_on_the_number_of_processes(folder: Path, tmp_path: Path) -> None:
    torch.randn(300, 300) @ torch.randn(300, 300)
    for name, more in {"one": {}, "two": {"workers": 2}, "other": {"seed": 1}}.items():
        pack(folder, tmp_path / name, **more)
    assert files(tmp_path / "one") == files(tmp_path / "two") != files(tmp_path / "other")


def test_the_index_is_of_these_shards(folder: Path, tmp_path: Path, cache: Path) -> None:
    out = tmp_path / "packed"
    pack(folder, out)
    whole = read_tar(out).splits["train"]
    assert not (cache / "tar").exists()
    shard = out / "train-00001.tar"
    content = shard.read_bytes()
    shard.write_bytes(content[:2048])
    with pytest.raises(TutelageError, match=r"train-00001.tar is 2,048 bytes, but .* in index.arrow; copy"):
        read_tar(out)
    shard.unlink()
    with pytest.raises(TutelageError, match="train-00001.tar is missing"):
        read_tar(out)
    shard.write_bytes(content)
    (out / "index.arrow").unlink()
    again = read_tar(out).splits["train"]
    assert [again.place(row) for row in range(40)] == [whole.place(row) for row in range(40)]
    (out / "index.arrow").write_bytes(b"nothing of the kind")
    with pytest.raises(TutelageError, match=r"index.arrow is not an index of shards"):
        read_tar(out)


@pytest.mark.parametrize("span", [(-1, 10), (0, 1 << 60), (1 << 62, 1 << 62), (5000, 5000)])
def test_an_index_that_points_elsewhere_is_none(tmp_path: Path, span: tuple[int, int]) -> None:
    path = tmp_path / "index.arrow"
    batch = pa.record_batch([["a.jpg"], [span[0]], [span[1]], [0]], schema=SCHEMA)
    TarIndex({"train-0.tar": 8192}, [batch]).save(path)
    with pytest.raises(TutelageError, match="index.arrow is not an index of shards .*outside their shards"):
        TarIndex.open(path)
    TarIndex({"train-0.tar": 8192, "train-1.tar": 8192}, [batch]).save(path)
    with pytest.raises(TutelageError, match="is not an index"):
        TarIndex.open(path)


def test_a_parquet_folder_and_shards_themselves_can_be_packed(make_parquet, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    images = [encode(picture(seed, 70, 90)) for seed in range(6)]
    root = make_parquet({"train-0": (images, [0, 1, 2, 0, 1, -1]), "test-0": (images[:2], [0, 1])}, ["x", "ÿ", "<z>"])
    pack(root, tmp_path / "once", size=64)
    pack(tmp_path / "once", tmp_path / "twice", size=64)
    source = read_tar(tmp_path / "twice")
    assert source.classes == ("x", "ÿ", "<z>") and sorted(source.splits["train"].labels) == [-1, 0, 0, 1, 1, 2]
    assert set(source.splits) == {"train", "test"}
    assert sorted(map(len, files(tmp_path / "once").values())) == sorted(map(len, files(tmp_path / "twice").values()))


def test_broken_images_stop_it_or_are_counted(folder: Path, tmp_path: Path) -> None:
    (folder / "train" / "cat" / "003.png").write_bytes(b"no image")
    out = tmp_path / "packed"
    with pytest.raises(TutelageError, match="003.png is not a readable image.*data.skip_broken=true"):
        pack(folder, out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pictures"]
    words = [f"data={folder}", f"out={out}", "data.skip_broken=true", "workers=0"]
    said = CliRunner().invoke(app, ["data", "pack", *words]).output
    assert "39 train, 8 validation images in 2 shards" in said and "skipped 1 unreadable images" in said


@pytest.mark.parametrize(
    "more, message",
    [
        ({"data": "digits"}, "cannot be packed"),
        ({"size": 0}, "size"),
        ({"quality": 101}, "quality"),
        ({"qualty": 90}, "unknown key 'qualty'.*quality"),
        ({"data.fraction": 0.5}, "data.fraction"),
    ],
)
def test_what_is_not_right_is_said_before_any_work(
    folder: Path, tmp_path: Path, more: dict[str, object], message: str
) -> None:
    with pytest.raises(TutelageError, match=message):
        pack(folder, tmp_path / "packed", **more)
    assert not (tmp_path / "packed").exists()


def test_nothing_that_exists_is_replaced_unasked(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "packed"
    pack(folder, out)
    first = files(out)
    with pytest.raises(TutelageError, match="exists; set another out=… or overwrite=true"):
        pack(folder, out, seed=1)
    assert files(out) == first
    pack(folder, out, seed=1, overwrite=True)
    assert files(out) != first
    with pytest.raises(TutelageError, match="is not a folder of shards"):
        pack(folder, folder, overwrite=True)
    assert (folder / "train" / "cat" / "000.png").is_file()


class _Deadly(Shrinking):
    """Kills the process that makes the 24th image small."""

    def __call__(self, encoded: Encoded, row: int) -> tuple[str, bytes]:
        if next(_MADE) == 24:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(encoded, row)


_MADE = itertools.count(1)


def _pack_and_die(folder: Path, out: Path) -> None:
    write_shards(str(folder), out, _Deadly(80), 50_000)


@pytest.mark.chaos
def test_what_is_killed_leaves_nothing_that_looks_finished(folder: Path, tmp_path: Path) -> None:
    process = FORKED.Process(target=_pack_and_die, args=(folder, tmp_path / "packed"))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    left = [path.name for path in tmp_path.iterdir() if path.name not in ("pictures", "cache")]
    assert len(left) == 1 and left[0].startswith(".packed-")
    pack(folder, tmp_path / "packed")
    assert json.loads((tmp_path / "packed" / "classes.json").read_text()) == ["cat", "dog"]


def test_its_help_has_an_example() -> None:
    shown = CliRunner().invoke(app, ["data", "pack", "--help"]).output
    assert "tutelage data pack data=" in shown and max(map(len, shown.splitlines())) <= 80
