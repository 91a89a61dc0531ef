"""Measure large data on a small machine: memory over an epoch, the cost of reading, and two JPEG decoders.

    python benchmarks/large_data.py [--images 200000] [--data FOLDER] [--out docs/results/large-data.json]

* reading: TrainLoader reads 200,000 JPEGs from tar shards (images of CIFAR-10, enlarged to 72 to 104 pixels) as 64 px
  crops for one epoch, with two workers. Measured are the resident memory of this process and of the workers at each
  tenth of the epoch, and images per second compared with the same workers on images that are already in memory, in
  turns, in plain and streamed order.
* decoding: images per second on one core, with the decoders of torchvision and PIL, for JPEGs of 256 and 500 pixels.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table

from tutelage.data import DataSettings, Split, TrainLoader, open_data
from tutelage.data.source import Encoded
from tutelage.data.stored.decode import decode
from tutelage.data.stored.samples import DecodedSamples

BATCH = 256
TURNS = 15
SHARD = 10_000
"""Number of images per shard."""
CACHED = 2_000
"""Number of images kept in memory for the comparison."""
os.environ.setdefault("OMP_NUM_THREADS", "1")


class Held(Encoded):
    """Images in memory, repeated for any number of rows, to measure decoding without reading."""

    def __init__(self, images: list[bytes], labels: np.ndarray) -> None:
        self.labels = labels
        self._images = images

    def fetch(self, row: int) -> bytes:
        return self._images[row % len(self._images)]

    def place(self, row: int) -> str:
        return f"image {row}"


def generate(source: Path, folder: Path, images: int) -> None:
    """Write tar shards with images of CIFAR-10, each enlarged to one of nine sizes."""
    table = pq.read_table(source / "train-00000-of-00001.parquet")
    column = next(name for name in ("image", "img") if name in table.column_names)
    originals = [cell["bytes"] for cell in table[column].to_pylist()]
    labels = table["label"].to_pylist()
    made: list[bytes] = []
    for number, original in enumerate(originals):
        size = 72 + 4 * (number % 9)
        buffer = io.BytesIO()
        Image.open(io.BytesIO(original)).resize((size, size), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
        made.append(buffer.getvalue())
    for first in range(0, images, SHARD):
        with tarfile.open(folder / f"train-{first // SHARD:05d}.tar", "w") as tar:
            for number in range(first, min(first + SHARD, images)):
                original = number % len(made)
                _add(tar, f"{number:07d}.jpg", made[original])
                _add(tar, f"{number:07d}.cls", str(labels[original]).encode())


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def reading(source: Path, images: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["TUTELAGE_CACHE"] = str(folder / "cache")
        (folder / "data").mkdir()
        generate(source, folder / "data", images)
        start = time.perf_counter()
        data = open_data(_settings(folder / "data"))
        opened = time.perf_counter() - start
        start = time.perf_counter()
        streamed = open_data(_settings(folder / "data", stream=True, window=4))
        again = time.perf_counter() - start
        resident = list(_memory(TrainLoader(data.train, BATCH, 0)))
        return {
            "images": images,
            "megabytes": sum(path.stat().st_size for path in (folder / "data").iterdir()) / 1e6,
            "seconds_to_open": {"first": opened, "again": again},
            "resident_mb": resident,
            "images_per_second": _speeds(data.train, streamed.train),
        }


def _settings(folder: Path, **more: Any) -> DataSettings:
    return DataSettings(name=str(folder), size=64, workers=2, validation=0.01, **more)


def _memory(loader: TrainLoader) -> Iterator[dict[str, float]]:
    """Yield the memory of this process and of its workers in megabytes, after each tenth of an epoch."""
    tenth = len(loader) // 10
    for step, _ in enumerate(loader.epoch(0), 1):
        if step == 1 or step % tenth == 0:
            workers = [_resident(child) for child in _children()]
            yield {"images": step * BATCH, "main": _resident(os.getpid()), "workers": sum(workers)}


def _children() -> list[int]:
    return [int(word) for word in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def _resident(process: int) -> float:
    """Return the proportional set size (PSS) of a process in megabytes, which divides shared memory among processes."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _speeds(plain: Split, streamed: Split) -> dict[str, float]:
    """Return images per second of each loader and their ratios, as medians over turns."""
    samples = plain.samples
    assert isinstance(samples, DecodedSamples)
    held = [samples.encoded.fetch(row) for row in range(CACHED)]
    alone = DecodedSamples(Held(held, samples.labels), samples.policy, samples.workers, False)
    loaders = {
        "decoding alone": TrainLoader(Split(alone, plain.rows), BATCH, 0),
        "tar": TrainLoader(plain, BATCH, 0),
        "tar, streamed": TrainLoader(streamed, BATCH, 0),
    }
    found: dict[str, list[float]] = {name: [] for name in loaders}
    for turn in range(TURNS + 1):
        # The order rotates, because the speed of a shared machine varies.
        for name in [*loaders][turn % 3 :] + [*loaders][: turn % 3]:
            speed = _rate(loaders[name].epoch(turn), 12)
            if turn:
                found[name].append(speed)
    speeds = {name: statistics.median(values) for name, values in found.items()}
    base = found["decoding alone"]
    for name in ("tar", "tar, streamed"):
        speeds[f"{name} / decoding alone"] = statistics.median(a / b for a, b in zip(found[name], base))
    return speeds


def _rate(batches: Iterable[Any], count: int) -> float:
    """Return images per second over ``count`` batches, after eight batches that fill the queues of the workers."""
    stretch = islice(batches, count + 8)
    for _ in islice(stretch, 8):
        pass
    start = time.perf_counter()
    images = sum(len(batch.labels) for batch in stretch)
    return images / (time.perf_counter() - start)


def decoding(source: Path) -> dict[str, Any]:
    """Return images per second on one core, from bytes to a tensor, for Imagenette images of two sizes, in turns."""
    table = pq.ParquetFile(source / "validation-00000-of-00001.parquet").read_row_group(0)
    originals = [cell["bytes"] for cell in table["image"].to_pylist()[:100]]
    torch.set_num_threads(1)
    found = {}
    for size in (256, 500):
        images = [_resized(original, size) for original in originals]
        decoders = {"torchvision": decode, "PIL": _with_pil}
        turns = [{name: _decoded_a_second(images, decoder) for name, decoder in decoders.items()} for _ in range(TURNS)]
        found[f"{size} px"] = {
            **{name: statistics.median(turn[name] for turn in turns) for name in decoders},
            "ratio": statistics.median(turn["torchvision"] / turn["PIL"] for turn in turns),
            "kilobytes": statistics.mean(map(len, images)) / 1000,
        }
    return found


def _resized(original: bytes, size: int) -> bytes:
    with Image.open(io.BytesIO(original)) as image:
        factor = size / min(image.size)
        shape = round(image.width * factor), round(image.height * factor)
        buffer = io.BytesIO()
        image.convert("RGB").resize(shape, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def _with_pil(data: bytes) -> torch.Tensor:
    with Image.open(io.BytesIO(data)) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


def _decoded_a_second(images: list[bytes], decoder: Callable[[bytes], torch.Tensor]) -> float:
    start = time.perf_counter()
    for image in images:
        decoder(image)
    return len(images) / (time.perf_counter() - start)


def show(figures: dict[str, Any]) -> None:
    console = Console(width=110)
    table = Table("images read", "main process, MB", "two workers, MB", title="memory over an epoch (PSS)")
    for row in figures["reading"]["resident_mb"]:
        table.add_row(f"{row['images']:,}", f"{row['main']:.0f}", f"{row['workers']:.0f}")
    console.print(table)
    table = Table("", "images/s or ratio", title="two workers, 64 px crops")
    for name, value in figures["reading"]["images_per_second"].items():
        table.add_row(name, f"{value:,.2f}" if "/" in name else f"{value:,.0f}")
    console.print(table)
    table = Table("JPEG", "kB", "torchvision, images/s", "PIL, images/s", "ratio", title="decoding on one core")
    for name, row in figures["decoding"].items():
        words = f"{row['kilobytes']:.0f}", f"{row['torchvision']:,.0f}", f"{row['PIL']:,.0f}", f"{row['ratio']:.2f}"
        table.add_row(name, *words)
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = Path(os.environ.get("TUTELAGE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--data", type=Path, default=shared, help="folder with cifar10-jpeg and imagenette")
    parser.add_argument("--out", type=Path, default=Path("docs/results/large-data.json"))
    arguments = parser.parse_args()
    figures = {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "reading": reading(arguments.data / "cifar10-jpeg", arguments.images),
        "decoding": decoding(arguments.data / "imagenette"),
    }
    arguments.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    show(figures)


if __name__ == "__main__":
    main()
