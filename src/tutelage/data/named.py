"""Data sets by name: embedded, on disk in torchvision's layout, in Hugging Face's cache, or downloaded."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torchvision.datasets

from tutelage.data.cache import cache_folder
from tutelage.data.folder import read_folder
from tutelage.data.images import carve
from tutelage.data.parquet import encoded
from tutelage.data.source import Pixels, Source
from tutelage.errors import TutelageError
from tutelage.registry import Registry

DATASETS: Registry[Callable[[], Source]] = Registry("data set")

CIFAR10_STATS = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
CIFAR100_STATS = (0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)
FASHION_STATS = (0.2860,) * 3, (0.3530,) * 3


@DATASETS.register("digits")
def digits() -> Source:
    """scikit-learn's handwritten digits: 1,797 images of 8×8 grey pixels, doubled to 16×16; a fifth is the test split."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    grey = (bunch.images * (255 / 16)).round().astype(np.uint8)
    images = np.repeat(np.repeat(grey, 2, axis=1), 2, axis=2)[:, None].repeat(3, axis=1)
    labels = bunch.target.astype(np.int64)
    train, test = carve(labels, share=0.2, seed=0)
    splits = {"train": Pixels(images[train], labels[train]), "test": Pixels(images[test], labels[test])}
    classes = tuple(str(name) for name in bunch.target_names)
    return Source("digits", classes, dict(splits), _hash(images), padding=1, flip=False)


@DATASETS.register("cifar10")
def cifar10() -> Source:
    """CIFAR-10: 50,000 training and 10,000 test images of 32×32 pixels."""
    return _small("cifar10", torchvision.datasets.CIFAR10, "uoft-cs/cifar10", "label", CIFAR10_STATS)


@DATASETS.register("cifar100")
def cifar100() -> Source:
    """CIFAR-100: as CIFAR-10, with 100 classes."""
    return _small("cifar100", torchvision.datasets.CIFAR100, "uoft-cs/cifar100", "fine_label", CIFAR100_STATS)


@DATASETS.register("fashion-mnist")
def fashion_mnist() -> Source:
    """Fashion-MNIST: 60,000 training and 10,000 test images of 28×28 grey pixels."""
    kind = torchvision.datasets.FashionMNIST
    return _small("fashion-mnist", kind, "zalando-datasets/fashion_mnist", "label", FASHION_STATS)


@DATASETS.register("imagenette")
def imagenette() -> Source:
    """Imagenette: ten ImageNet classes, 9,469 training and 3,925 validation images."""
    for root in roots():
        if (root / "imagenette2").is_dir():
            return read_folder(root / "imagenette2")
    root = cache_folder() / "data"
    try:
        root.mkdir(parents=True, exist_ok=True)
        torchvision.datasets.Imagenette(str(root), split="train", size="full", download=True)
    except (OSError, RuntimeError) as error:
        raise _offline("imagenette", error) from None
    return read_folder(root / "imagenette2")


def roots() -> list[Path]:
    """Returns the folders in which data sets in torchvision's layout are looked for."""
    given = os.environ.get("TUTELAGE_DATA")
    return [*([Path(given)] if given else []), cache_folder() / "data", Path("data")]


def _small(name: str, kind: Any, hub_id: str, label: str, stats: tuple[tuple[float, ...], tuple[float, ...]]) -> Source:
    for root in roots():
        try:
            train, test = kind(str(root), train=True), kind(str(root), train=False)
        except RuntimeError:
            continue  # torchvision says by this error that nothing, or nothing whole, is there
        splits = {"train": _pixels(train), "test": _pixels(test)}
        fingerprint = _hash(splits["train"].images, splits["test"].images)
        return Source(name, tuple(train.classes), dict(splits), fingerprint, *stats)
    return _from_hub(name, hub_id, label, stats)


def _from_hub(name: str, hub_id: str, label: str, stats: tuple[tuple[float, ...], tuple[float, ...]]) -> Source:
    import datasets

    try:
        loaded = datasets.load_dataset(hub_id)
    except Exception as error:  # the hub's client raises its own, httpx's and fsspec's errors
        raise _offline(name, error) from error
    classes = tuple(loaded["train"].features[label].names)
    splits = {}
    for split in ("train", "test"):
        table = loaded[split].with_format("arrow")[:]
        splits[split] = encoded(table, classes, f"{name} ({split})")
    return Source(name, classes, dict(splits), loaded["train"]._fingerprint, *stats)


def _pixels(dataset: Any) -> Pixels:
    data = np.asarray(dataset.data)
    images = data.transpose(0, 3, 1, 2) if data.ndim == 4 else data[:, None].repeat(3, axis=1)
    return Pixels(np.ascontiguousarray(images), np.asarray(dataset.targets, dtype=np.int64))


def _hash(*arrays: npt.NDArray[np.uint8]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _offline(name: str, error: Exception) -> TutelageError:
    reason = str(error).strip().split("\n")[0]
    return TutelageError(
        f"data={name} is not on this machine and cannot be downloaded ({reason}). Either run once with a connection, "
        f"which keeps it in {cache_folder() / 'data'} or in Hugging Face's cache, or point data= at a folder that has it: "
        f"an image folder or parquet files; a folder in torchvision's layout is found through TUTELAGE_DATA"
    )
