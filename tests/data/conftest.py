"""Small data sets made on the spot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.pictures import picture

MakeFolder = Callable[..., Path]
MakeParquet = Callable[..., Path]


@pytest.fixture(autouse=True)
def no_data_of_the_user(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "real_data" not in request.fixturenames:
        monkeypatch.delenv("TUTELAGE_DATA", raising=False)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("TUTELAGE_CACHE", str(folder))
    return folder


@pytest.fixture
def make_folder(tmp_path: Path, cache: Path) -> MakeFolder:
    """Makes an image folder: for each split ("" is a bare folder) so many images a class, of each (H, W) in turn."""

    def make(counts: dict[str, dict[str, int]], sizes: tuple[tuple[int, int], ...] = ((48, 80), (90, 60))) -> Path:
        root = tmp_path / "pictures"
        seed = 0
        for split, classes in counts.items():
            for name, count in classes.items():
                (root / split / name).mkdir(parents=True)
                for number in range(count):
                    image = picture(seed, *sizes[seed % len(sizes)])
                    image.save(root / split / name / f"{number:03d}.png")
                    seed += 1
        return root

    return make


@pytest.fixture
def make_parquet(tmp_path: Path, cache: Path) -> MakeParquet:
    """Makes a parquet folder in Hugging Face's layout: for each file, its encoded images and labels."""

    def make(
        files: dict[str, tuple[list[bytes], list[int]]],
        classes: list[str] | None = None,
        columns: tuple[str, str] = ("image", "label"),
    ) -> Path:
        root = tmp_path / "rows"
        root.mkdir()
        for name, (images, labels) in files.items():
            cells = [{"bytes": data, "path": f"{number}.png"} for number, data in enumerate(images)]
            table = pa.table({columns[0]: cells, columns[1]: pa.array(labels, pa.int64())})
            if classes is not None:
                features = {columns[0]: {"_type": "Image"}, columns[1]: {"names": classes, "_type": "ClassLabel"}}
                table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
            pq.write_table(table, root / f"{name}.parquet", row_group_size=4)
        return root

    return make
