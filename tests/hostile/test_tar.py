"""Tar shards that lie: nothing is unpacked, nothing inflates, no header is read twice."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hostile.conftest import Fail
from hostile.pictures import BOMBS, encode, picture
from tutelage.data import DataSettings, open_data

PNG = encode(picture(), "PNG")
SPARSE = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.map": "0,0", "GNU.sparse.size": "2" + "0" * 12}
Add = Callable[..., None]


def write(*makes: Callable[[Add], Any]) -> None:
    """Writes eight samples of two classes to a shard, and what ``makes`` add after them."""
    Path("data").mkdir()
    with tarfile.open("data/train-0.tar", "w", format=tarfile.PAX_FORMAT) as tar:

        def add(name: str, data: bytes = b"", **fields: Any) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            for field, value in fields.items():
                setattr(member, field, value)
            tar.addfile(member, io.BytesIO(data))

        for number in range(8):
            add(f"{number}.png", PNG)
            add(f"{number}.cls", str(number % 2).encode())
        for make in makes:
            make(add)


def sample(name: str = "x", image: bytes = PNG, label: bytes = b"0") -> Callable[[Add], Any]:
    return lambda add: (add(f"{name}.png", image), add(f"{name}.cls", label))


REFUSED: dict[str, tuple[Callable[[Add], Any], str]] = {
    "a label of 2 terabytes in a few bytes": (
        lambda add: (add("x.png", PNG), add("x.cls", pax_headers=SPARSE)), "'x.cls' is stored as a sparse file"
    ),
    "an image of 2 terabytes in a few bytes": (
        lambda add: (add("x.png", pax_headers=SPARSE), add("x.cls", b"0")), "'x.png' is stored as a sparse file"
    ),
    "an image that is a bomb": (sample(image=BOMBS["png header of 100000x100000"]()), "x.png is not a readable image"),
    **{
        f"a size that leads {-size} bytes back": (
            lambda add, size=size: add("notes.txt", pax_headers={"size": str(size)}), f"has the size {size}"
        )
        for size in (-1, -512, -1536, -10**9)
    },
    "a size past the end": (
        lambda add: add("x.png", PNG, pax_headers={"size": "9" * 13}), "is not a complete, uncompressed tar file"
    ),
    "an image that is a link out": (
        lambda add: (add("x.png", type=tarfile.SYMTYPE, linkname="/etc/passwd"), add("x.cls", b"0")), "but no image"
    ),
    "an image that is a hard link": (
        lambda add: (add("x.png", type=tarfile.LNKTYPE, linkname="0.png"), add("x.cls", b"0")), "but no image"
    ),
    "an image that is a pipe": (
        lambda add: (add("x.png", type=tarfile.FIFOTYPE), add("x.cls", b"0")), "has a label but no image"
    ),
    "a name that is not UTF-8": (sample("x\udcff"), "is not UTF-8"),
    "an image twice": (lambda add: add("0.png", PNG), "sample '0' has two images"),
    "a label of a hundred thousand brackets": (sample(label=b"[" * 100_000), "not a class number"),
    "json of a hundred thousand brackets": (
        lambda add: (add("x.png", PNG), add("x.json", b"[" * 100_000)), "x.png has no label"
    ),
    "a label of 5,000 digits": (sample(label=b"1" * 5_000), "not a class number"),
    "a label of two billion": (sample(label=b"2000000000"), "label 2,000,000,000"),
    "a label that is not a number": (sample(label=b"NaN"), "not a class number"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_shard_that_lies(name: str, fail: Fail) -> None:
    make, expected = REFUSED[name]
    write(make)
    message = fail("train", "data=data", "model=resnet8", "epochs=1", "out=run")
    assert expected in message, message
    assert "train-0.tar" in message or "data=data" in message
    assert len(message) < 1000


READ: dict[str, Callable[[Add], Any]] = {
    "names that climb out": sample("../../x"),
    "an absolute name": sample("/tmp/hacked"),
    "a name with a line's end and markup": sample("a\n<script>'"),
    "a name of 5,000 letters": sample("x" * 5_000),
    "a device beside the samples": lambda add: (
        add("zero", type=tarfile.CHRTYPE, devmajor=1, devminor=5), sample()(add)
    ),
    "a link beside the samples": lambda add: (add("up", type=tarfile.SYMTYPE, linkname="../.."), sample()(add)),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_what_is_unusual_and_read_where_it_lies(name: str, tmp_path: Path) -> None:
    write(READ[name])
    data = open_data(DataSettings(name="data", validation=0.25))
    assert data.validation is not None and len(data.train) + len(data.validation) == 9
    assert [path.name for path in Path("data").iterdir()] == ["train-0.tar"]
    assert not Path("/tmp/hacked.png").exists() and not list(tmp_path.parent.glob("*.png"))
