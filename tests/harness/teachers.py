"""Trained teachers for tests of whole runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tutelage import train


def train_teachers(folder: Path, run: dict[str, Any], epochs: int, count: int = 2) -> list[Path]:
    """Trains so many ResNet-14 with the settings ``run``, which differ in their seed, and returns their run folders."""
    folders = [folder / str(seed) for seed in range(count)]
    for seed, out in enumerate(folders):
        train(**run, model="resnet14", epochs=epochs, seed=seed, out=out)
    return folders
