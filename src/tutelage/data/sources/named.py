"""Data sets by name: built in, in torchvision's layout, in Hugging Face's cache, or downloaded."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tutelage.data.source import Pixels, Source, examine_files
from tutelage.data.sources.digits import load_digits
from tutelage.data.sources.hub import read_repository
from tutelage.data.sources.image_folder import read_folder
from tutelage.data.sources.parquet import read_parquet
from tutelage.data.split import stratified, without
from tutelage.data.stored.derived import cache_folder
from tutelage.data.stored.memory_map import keep
from tutelage.errors import TutelageError
from tutelage.registry import Registry

DATASETS: Registry[Callable[[], Source]] = Registry("data set")

REPOSITORIES = {"imagenet-1k": "ILSVRC/imagenet-1k"}
"""Repositories of data sets that are read from the hub."""
IMAGENETTE_CLASSES = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}


@dataclass(frozen=True)
class _Published:
    """Sources of a small published data set, and its pixel statistics over the training set."""

    kind: str
    """Name of torchvision's class."""
    folder: str
    """Folder in torchvision's layout."""
    hub_id: str
    """Repository on the Hugging Face hub."""
    mean: tuple[float, ...]
    std: tuple[float, ...]


_CIFAR10 = _Published(
    "CIFAR10",
    "cifar-10-batches-py",
    "uoft-cs/cifar10",
    (0.4914, 0.4822, 0.4465),
    (0.2470, 0.2435, 0.2616),
)
_CIFAR100 = _Published(
    "CIFAR100",
    "cifar-100-python",
    "uoft-cs/cifar100",
    (0.5071, 0.4865, 0.4409),
    (0.2673, 0.2564, 0.2762),
)
_FASHION_MNIST = _Published(
    "FashionMNIST", "FashionMNIST", "zalando-datasets/fashion_mnist", (0.2860,) * 3, (0.3530,) * 3
)


@DATASETS.register("digits")
def digits() -> Source:
    """Read the digits: 1,797 gray images of 8×8 pixels, enlarged to 16×16, a fifth of them for testing."""
    pixels, labels = load_digits()
    gray = (pixels * (255 / 16)).round().astype(np.uint8)
    images = gray[:, None].repeat(2, axis=2).repeat(2, axis=3).repeat(3, axis=1)
    rows = np.arange(len(labels))
    test = stratified(labels, rows, share=0.2, seed=0)
    train = without(rows, test)
    return Source(
        name="digits",
        classes=tuple("0123456789"),
        splits={"train": Pixels(images[train], labels[train]), "test": Pixels(images[test], labels[test])},
        fingerprint=hashlib.sha256(images.tobytes()).hexdigest(),
        mean=(0.3053,) * 3,
        std=(0.3761,) * 3,
        padding=1,
        flip=False,
    )


@DATASETS.register("cifar10")
def cifar10() -> Source:
    """Read CIFAR-10: 50,000 training and 10,000 test images of 32×32 pixels, 10 classes."""
    return _published("cifar10", _CIFAR10)


@DATASETS.register("cifar100")
def cifar100() -> Source:
    """Read CIFAR-100: 50,000 training and 10,000 test images of 32×32 pixels, 100 classes."""
    return _published("cifar100", _CIFAR100)


@DATASETS.register("fashion-mnist")
def fashion_mnist() -> Source:
    """Read Fashion-MNIST: 60,000 training and 10,000 test images of 28×28 gray pixels, 10 classes."""
    return _published("fashion-mnist", _FASHION_MNIST)


@DATASETS.register("imagenette")
def imagenette() -> Source:
    """Read Imagenette: ten ImageNet classes, 9,469 training and 3,925 validation images, shorter side 320 pixels."""
    folder = next(
        filter(Path.is_dir, (root / f"imagenette2{size}" for root in roots() for size in ("-320", "", "-160"))), None
    )
    if folder is None:
        import torchvision.datasets

        root = _download_folder()
        try:
            torchvision.datasets.Imagenette(str(root), split="train", size="320px", download=True)
        except (OSError, RuntimeError) as error:
            raise _offline("imagenette", error) from None
        folder = root / "imagenette2-320"
    source = read_folder(folder)
    return replace(
        source, name="imagenette", classes=tuple(IMAGENETTE_CLASSES.get(name, name) for name in source.classes)
    )


@DATASETS.register("imagenet-1k")
def imagenet_1k() -> Source:
    """Read ImageNet-1k (1,281,167 training, 50,000 validation images) from the hub, which requires accepting terms."""
    return read_repository(REPOSITORIES["imagenet-1k"])


def roots() -> list[Path]:
    """Return the folders to search for named data sets: ``$TUTELAGE_DATA``, and ``data`` in the cache folder."""
    given = os.environ.get("TUTELAGE_DATA")
    return [*([Path(given).expanduser()] if given else []), cache_folder() / "data"]


def find(name: str) -> Path | None:
    """Return the folder in ``roots`` with the name of a registered data set, or None."""
    return next((root / name for root in roots() if (root / name).is_dir()), None) if name in DATASETS else None


def _published(name: str, published: _Published) -> Source:
    """Read a data set in torchvision's layout, or from Hugging Face's cache, to which it is downloaded if needed."""
    root = next((root for root in roots() if (root / published.folder).is_dir()), None)
    if root is not None:
        return _in_torchvision_layout(name, published, root)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        # Without a connection, this returns the folder in the cache.
        folder = snapshot_download(published.hub_id, repo_type="dataset", allow_patterns=["*.parquet"])
    except (OSError, HfHubHTTPError) as error:
        raise _offline(name, error) from None
    return replace(read_parquet(Path(folder)), name=name, mean=published.mean, std=published.std)


def _in_torchvision_layout(name: str, published: _Published, root: Path) -> Source:
    files = sorted(path for path in (root / published.folder).rglob("*") if path.is_file())
    fingerprint = examine_files(root, files).fingerprint

    def load(split: str) -> Any:
        import torchvision.datasets

        try:
            return getattr(torchvision.datasets, published.kind)(str(root), train=split == "train")
        except RuntimeError as error:
            raise TutelageError(
                f"data={name}: {root / published.folder} is incomplete ({error}); complete or remove it"
            ) from None

    splits = {split: keep(f"{fingerprint}/{split}", partial(_pixels, load, split)) for split in ("train", "test")}
    return Source(name, tuple(map(str, load("test").classes)), splits, fingerprint, published.mean, published.std)


def _pixels(load: Callable[[str], Any], split: str) -> Pixels:
    dataset = load(split)
    data = np.asarray(dataset.data)
    images = data.transpose(0, 3, 1, 2) if data.ndim == 4 else data[:, None].repeat(3, axis=1)
    return Pixels(images, np.asarray(dataset.targets, dtype=np.int64))


def _download_folder() -> Path:
    folder = cache_folder() / "data"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _offline(name: str, error: Exception) -> TutelageError:
    reason = str(error).strip().split("\n")[0]
    return TutelageError(
        f"data={name} is not on this machine and cannot be downloaded ({reason}). Run once with a connection to store "
        f"it in the cache, or set data to a folder that contains it (class folders, parquet files, tar shards); "
        f"torchvision's layout is read from $TUTELAGE_DATA and {cache_folder() / 'data'}"
    )
