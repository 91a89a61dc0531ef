"""Parquet files whose columns, rows or metadata are not what they should be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hostile.conftest import Fail
from hostile.pictures import encode, picture
from tutelage import TutelageError
from tutelage.data import DataSettings, EvalLoader, open_data
from tutelage.data.sources.parquet import read_parquet

PNG = encode(picture(), "PNG")
IMAGES = [{"bytes": PNG, "path": "x.png"}] * 8
LABELS = [0, 1] * 4
FEATURES = {"image": {"_type": "Image"}, "label": {"names": ["ant", "bee"], "_type": "ClassLabel"}}


def write(file: str = "train-0.parquet", metadata: Any = None, **columns: Any) -> Path:
    """Writes a data set's file; ``metadata`` is what is said of the features, or bytes in their place."""
    table = pa.table(columns)
    if metadata is not None:
        text = metadata if isinstance(metadata, bytes) else json.dumps({"info": {"features": metadata}}).encode()
        table = table.replace_schema_metadata({b"huggingface": text})
    Path("data").mkdir(exist_ok=True)
    pq.write_table(table, Path("data") / file)
    return Path("data") / file


def good(**changes: Any) -> Path:
    return write(**{"metadata": FEATURES, "image": IMAGES, "label": LABELS, **changes})


def named(names: Any) -> Any:
    return {**FEATURES, "label": {"names": names}}


def _cut(share: float) -> None:
    path = good()
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def _damaged_pages() -> None:
    """The first file whole, the second with zeros where its images are."""
    good()
    path = good(file="train-1.parquet")
    data = path.read_bytes()
    path.write_bytes(data[:4] + bytes(len(data) // 4) + data[4 + len(data) // 4 :])


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "no bytes": (lambda: good().write_bytes(b""), "train-0.parquet is not a readable parquet file"),
    "html": (lambda: good().write_bytes(b"<html>404</html>"), "train-0.parquet is not a readable parquet file"),
    "a file of a comma-separated table": (
        lambda: good().write_bytes(b"image,label\nx.png,0\n"), "train-0.parquet is not a readable parquet file"
    ),
    **{f"cut at {share:.0%}": (lambda share=share: _cut(share), "not a readable") for share in (0.01, 0.5, 0.99)},
    "damaged pages": (_damaged_pages, "train-1.parquet"),
    "a folder": (lambda: (good(), Path("data/train-1.parquet").mkdir()), "train-1.parquet is not a file"),
    "no columns": (lambda: write(), "has no column 'image' (its columns: none)"),
    "no column of images": (lambda: write(photo=IMAGES, label=LABELS), "has no column 'image'"),
    "no column of labels": (lambda: write(image=IMAGES, kind=LABELS), "has no column 'label'"),
    "no column of images in a second file": (
        lambda: (good(), write("train-1.parquet", label=LABELS)), "train-1.parquet has no column 'image'"
    ),
    "no column of labels in the test file": (
        lambda: (good(), write("test-0.parquet", image=IMAGES)), "test-0.parquet has no column 'label'"
    ),
    "images of another type in a second file": (
        lambda: (good(), write("train-1.parquet", image=["x.png"] * 8, label=LABELS)), "train-1.parquet: column 'image'"
    ),
    "addresses for images": (lambda: good(image=["https://example.org/x.png"] * 8), "column 'image' holds string"),
    "numbers for images": (lambda: good(image=list(range(8))), "column 'image' holds int64"),
    "lists of pixels for images": (lambda: good(image=[[1, 2, 3]] * 8), "column 'image' holds list"),
    "nulls for images": (lambda: good(image=[None] * 8), "column 'image' holds null"),
    "structs without bytes": (lambda: good(image=[{"path": "x.png"}] * 8), "column 'image' holds struct<path"),
    "text for bytes": (lambda: good(image=[{"bytes": "x", "path": "x"}] * 8), "column 'image' holds struct"),
    "nulls for bytes": (
        lambda: good(image=pa.array([{"bytes": None}] * 8, pa.struct([("bytes", pa.binary())]))),
        "row 0 is not a readable image (it is empty)",
    ),
    "one image that is empty": (
        lambda: good(image=[*IMAGES[:7], {"bytes": b"", "path": "x"}]), "row 7 is not a readable image (it is empty)"
    ),
    "text for labels": (lambda: good(label=["ant", "bee"] * 4), "column 'label' holds string, not class numbers"),
    "fractions for labels": (lambda: good(label=[0.5, 1.0] * 4), "column 'label' holds double"),
    "lists for labels": (lambda: good(label=[[0], [1]] * 4), "column 'label' holds list"),
    "truths for labels": (lambda: good(label=[True, False] * 4), "column 'label' holds bool"),
    "dates for labels": (lambda: good(label=pa.array([1, 2] * 4, pa.timestamp("s"))), "column 'label' holds timestamp"),
    "nothing for labels": (lambda: good(label=[None] * 8), "column 'label' holds null"),
    "a label past the classes": (lambda: good(label=[0, 1, 2, 0] * 2), "row 2: label 2 is not one of the 2 classes"),
    "a label below -1": (lambda: good(label=[0, 1, -2, 0] * 2), "row 2: label -2 is not one of the 2 classes"),
    "a label of 2^63": (
        lambda: good(label=pa.array([0, 1, 2**63, 0] * 2, pa.uint64())), "9223372036854775808 not in range"
    ),
    "a label past the classes, in the test file": (
        lambda: (good(), good(file="test-0.parquet", label=[0, 5] * 4)), "test-0.parquet, row 1: label 5"
    ),
    "no rows": (lambda: good(image=pa.array([], pa.binary()), label=pa.array([], pa.int64())), "has no row"),
    "no training file": (lambda: good(file="test-0.parquet"), "none named train-"),
    "no split's name": (lambda: good(file="data.parquet"), "none named train-"),
    "labels of 9 billion classes without names": (
        lambda: good(metadata=None, label=[0, 2**53] * 4), "label 9,007,199,254,740,992"
    ),
    "metadata that are no json": (lambda: good(metadata=b'{"info": {"feat'), "metadata 'huggingface'"),
    "metadata that are binary": (lambda: good(metadata=bytes(range(128, 256))), "metadata 'huggingface'"),
    "metadata that are a list": (lambda: good(metadata=b"[1]"), "metadata 'huggingface'"),
    "metadata that are null": (lambda: good(metadata=b"null"), "metadata 'huggingface'"),
    "metadata of a hundred thousand brackets": (lambda: good(metadata=b"[" * 10**5), "metadata 'huggingface'"),
    "features that are a list": (lambda: good(metadata=["image", "label"]), "metadata 'huggingface'"),
    "class names that are a word": (lambda: good(metadata=named("ab")), "not a list of strings"),
    "class names that are numbers": (lambda: good(metadata=named([1, 2])), "not a list of strings"),
    "class names that are null": (lambda: good(metadata=named(["ant", None])), "not a list of strings"),
    "a class name twice": (lambda: good(metadata=named(["ant", "ant"])), "classes 0 and 1 are both called 'ant'"),
    "a class name in two spellings": (
        lambda: good(metadata=named(["caf\u00e9", "cafe\u0301"])), "classes 0 and 1 are both called 'café'"
    ),
    "a class name that is empty": (lambda: good(metadata=named(["ant", ""])), "class 1 has an empty name"),
    "a class name of spaces": (lambda: good(metadata=named(["ant", "  "])), "class 1 has an empty name"),
    "fewer class names than labels": (lambda: good(metadata=named(["ant"])), "label 1 is not one of the 1 classes"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_parquet_folder_that_cannot_be_used(name: str, fail: Fail) -> None:
    make, expected = REFUSED[name]
    make()
    message = fail("train", "data=data", "model=resnet8", "epochs=1", "out=run")
    assert expected in message, message
    assert "data" in message and not Path("run").exists()


def test_damaged_pages_end_the_reading_even_where_broken_images_are_skipped() -> None:
    """A file that cannot be read is not a thousand images that cannot."""
    _damaged_pages()
    with pytest.raises(TutelageError, match="train-1.parquet"):
        open_data(DataSettings(name="data", skip_broken=True))


READ: dict[str, tuple[Callable[[], object], tuple[str, ...]]] = {
    "names that differ by capitals": (lambda: good(metadata=named(["A", "a"])), ("A", "a")),
    "no metadata": (lambda: good(metadata=None), ("0", "1")),
    "no class names in the metadata": (lambda: good(metadata={"label": {}}), ("0", "1")),
    "metadata of another program": (lambda: good(metadata={"x": 1}), ("0", "1")),
    "plain bytes for images": (lambda: good(image=[PNG] * 8), ("ant", "bee")),
    "large binary for images": (lambda: good(image=pa.array([PNG] * 8, pa.large_binary())), ("ant", "bee")),
    "labels of one byte": (lambda: good(label=pa.array(LABELS, pa.int8())), ("ant", "bee")),
    "labels without sign": (lambda: good(label=pa.array(LABELS, pa.uint64())), ("ant", "bee")),
    "columns beside them": (lambda: good(url=["x"] * 8, nested=[{"a": [1]}] * 8), ("ant", "bee")),
    "the columns of CIFAR-100": (lambda: write(img=IMAGES, fine_label=LABELS), ("0", "1")),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_what_is_unusual_and_read(name: str) -> None:
    make, classes = READ[name]
    make()
    data = open_data(DataSettings(name="data", validation=0.25))
    assert data.classes == classes
    assert data.validation is not None and len(data.train) + len(data.validation) == 8


def test_nulls_are_unlabelled() -> None:
    good(label=pa.array([0, 1, None, None, 0, 1, 0, 1], pa.int64()))
    assert read_parquet(Path("data")).splits["train"].labels.tolist() == [0, 1, -1, -1, 0, 1, 0, 1]
    data = open_data(DataSettings(name="data", validation=0.25))
    assert sorted(label for batch in EvalLoader(data.train, 3) for label in batch.labels.tolist())[:2] == [-1, -1]
