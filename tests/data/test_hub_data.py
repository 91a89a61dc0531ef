"""Data sets of the hub, from a stand-in that serves folders as the hub does: whole, shard by shard, without it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import constants

from data.pictures import encode, picture
from data.shards import samples, write_tar
from harness.hub import Hub, serve
from tutelage.data import DataSettings, Shrinking, TrainLoader, open_data, write_shards
from tutelage.errors import TutelageError

NOISE = np.random.default_rng(0)
PICTURES = [encode(picture(seed, 70, 90), "JPEG") + NOISE.bytes(20_000) for seed in range(32)]
LABELS = [0, 1] * 16


@pytest.fixture
def hub(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_TOKEN", "hf_not_a_token")
    with serve(Hub({})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        yield hub


@pytest.fixture
def parquet(make_parquet, hub: Hub) -> Hub:  # type: ignore[no-untyped-def]
    """The hub with the data set me/rows: eight training files of four images, and one for validation."""
    files = {f"train-{n}-of-8": (PICTURES[4 * n : 4 * n + 4], LABELS[4 * n : 4 * n + 4]) for n in range(8)}
    root = make_parquet({**files, "validation-0-of-1": (PICTURES[:4], LABELS[:4])}, ["x", "y"])
    (root / "README.md").write_text("about")
    hub.folders["me/rows"] = root
    return hub


@pytest.fixture
def tar(tmp_path: Path, hub: Hub) -> Hub:
    """The hub with the data set me/tars, packed: several training shards, and one for validation."""
    root = tmp_path / "tars"
    write_tar(root / "train-0.tar", samples(PICTURES, LABELS, "jpg"))
    write_tar(root / "val-0.tar", samples(PICTURES[:4], LABELS[:4], "jpg"))
    (root / "classes.txt").write_text("x\ny\n")
    write_shards(str(root), tmp_path / "packed", Shrinking(), 100_000)
    hub.folders["me/tars"] = tmp_path / "packed"
    return hub


def settings(name: str, **more: Any) -> DataSettings:
    return DataSettings(name=name, **{"size": 48, "workers": 0, **more})


def rows(name: str, **more: Any) -> list[int]:
    """The training rows in the order of an epoch, with their labels checked against the classes' names."""
    data = open_data(settings(name, **more))
    assert data.classes == ("x", "y") and data.validation is not None and len(data.validation) == 4
    batches = list(TrainLoader(data.train, 8, 0).epoch(0))
    assert all(batch.images.shape == (8, 3, 48, 48) for batch in batches)
    return torch.cat([batch.index for batch in batches]).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", ["parquet", "tar"])
def test_a_data_set_is_downloaded_once_and_then_needs_no_connection(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub = request.getfixturevalue(kind)
    name = "me/rows" if kind == "parquet" else "me/tars"
    first = rows(name)
    assert sorted(first) == list(range(32))
    sent = {file for file, _ in hub.sent}
    assert "README.md" not in sent and len(sent) > 5
    assert open_data(settings(name)).name == name[3:]
    assert {file: hub.bytes_of(file) for file in sent} == {
        file: (hub.folders[name] / file).stat().st_size for file in sent
    }
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert rows(name) == first
    part = next((tmp_path / "hf").rglob("*train-*"))
    part.unlink()
    with pytest.raises(TutelageError, match=f"data={name} .*cannot be downloaded .*with a connection.*folder"):
        rows(name)


@pytest.mark.parametrize("kind", ["parquet", "tar"])
def test_streaming_brings_shards_as_they_are_needed(
    kind: str, request: pytest.FixtureRequest, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = request.getfixturevalue(kind)
    name = "me/rows" if kind == "parquet" else "me/tars"
    sizes = {path.name: path.stat().st_size for path in hub.folders[name].glob("train-*")}
    assert len(sizes) > 5
    data = open_data(settings(name, stream=True, window=2))
    assert len(data.train) == 32 and data.classes == ("x", "y")
    whole = [file for file, size in sizes.items() if hub.bytes_of(file) >= size]
    assert len(whole) <= 1  # the first, to see what the images are like
    hub.sent.clear()
    # Two workers with a thread each and then a second epoch: each shard comes once.
    shutil.rmtree(cache / "shards")
    order = rows(name, stream=True, window=2, workers=2)
    assert sorted(order) == list(range(32))
    assert {file: hub.bytes_of(file) for file in sizes} == sizes
    plain = {int(row): image for row, image in views(settings(name))}
    streamed = {int(row): image for row, image in views(settings(name, stream=True, window=2))}
    assert all(torch.equal(plain[row], streamed[row]) for row in range(32))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert rows(name, stream=True, window=2) == order


def views(chosen: DataSettings) -> list[Any]:
    batches = TrainLoader(open_data(chosen).train, 8, 0).epoch(1)
    return [pair for batch in batches for pair in zip(batch.index, batch.images)]


def test_room_on_the_disk_is_bounded(parquet: Hub, cache: Path) -> None:
    one = max(path.stat().st_size for path in parquet.folders["me/rows"].glob("train-*"))
    order = rows("me/rows", stream=True, window=1, disk_gb=3.2 * one / 1e9)
    assert sorted(order) == list(range(32))
    with pytest.raises(TutelageError, match="cannot hold three windows of 1 shards; set at least data.disk_gb="):
        rows("me/rows", stream=True, window=1, disk_gb=2 * one / 1e9)


def test_a_hub_that_gives_no_more_stops_a_stream_in_words(parquet: Hub) -> None:
    data = open_data(settings("me/rows", stream=True, window=2, skip_broken=True))
    parquet.gated.add("me/rows")
    with pytest.raises(TutelageError, match=r"train-\d-of-8.parquet cannot be fetched .*tutelage resume"):
        list(TrainLoader(data.train, 8, 0).epoch(0))


def test_tar_shards_without_an_index_are_downloaded_and_not_streamed(tmp_path: Path, hub: Hub) -> None:
    root = tmp_path / "others"
    write_tar(root / "train-0.tar", samples(PICTURES, LABELS, "jpg"))
    hub.folders["me/tars"] = root
    data = open_data(settings("me/tars"))
    assert data.classes == ("0", "1") and len(data.train) + len(data.held_out) == 32
    with pytest.raises(TutelageError, match=r"no index.arrow.*write one with tutelage data pack"):
        open_data(settings("me/tars", stream=True))


@pytest.mark.parametrize("stream", [False, True])
def test_what_the_hub_has_not_or_does_not_give(parquet: Hub, stream: bool, tmp_path: Path) -> None:
    with pytest.raises(TutelageError, match="data=me/flowers is neither a folder nor a data set on the hub"):
        open_data(settings("me/flowers", stream=stream))
    parquet.folders["me/text"] = tmp_path / "text"
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "all.csv").write_text("a,b")
    with pytest.raises(TutelageError, match="data=me/text: .*neither parquet files nor tar shards.*all.csv"):
        open_data(settings("me/text", stream=stream))
    parquet.gated.add("me/rows")
    with pytest.raises(TutelageError, match="data=me/rows is gated; accept its conditions.*hf auth login"):
        open_data(settings("me/rows", stream=stream))


def test_imagenet_is_a_folder_or_comes_from_the_hub(
    parquet: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet.folders["ILSVRC/imagenet-1k"] = parquet.folders.pop("me/rows")
    data = open_data(settings("imagenet-1k"))
    assert data.name == "imagenet-1k" and len(data.train) == 32
    assert len(open_data(settings("imagenet-1k", stream=True)).train) == 32
    parquet.gated.add("ILSVRC/imagenet-1k")
    shutil.rmtree(tmp_path / "hf")
    with pytest.raises(TutelageError, match="ILSVRC/imagenet-1k is gated; accept its conditions"):
        open_data(settings("imagenet-1k"))
    asked = len(parquet.sent)
    parquet.folders["ILSVRC/imagenet-1k"].rename(tmp_path / "imagenet-1k")
    monkeypatch.setenv("TUTELAGE_DATA", str(tmp_path))
    assert len(open_data(settings("imagenet-1k")).train) == 32 and len(parquet.sent) == asked


@pytest.mark.parametrize("name", ["me/rows", "imagenet-1k"])
@pytest.mark.parametrize("stream", [False, True])
def test_offline_nothing_is_asked_and_the_error_names_both_ways_out(
    name: str, stream: bool, parquet: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(TutelageError, match=r"cannot be downloaded .*offline.*with a connection.*set data to a folder"):
        open_data(settings(name, stream=stream))
    assert parquet.sent == []
