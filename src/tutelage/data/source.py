"""What every kind of data set on disk is read into, before it is split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tutelage.data.samples import Rows


@dataclass(frozen=True)
class Encoded:
    """One split as encoded images."""

    read: Callable[[int], tuple[bytes, str]]
    """Gives the bytes of a row, and what to call it in an error."""
    labels: Rows


@dataclass(frozen=True)
class Pixels:
    """One split as decoded images of one size, (N, 3, H, W) uint8."""

    images: npt.NDArray[np.uint8]
    labels: Rows


@dataclass(frozen=True)
class Source:
    """A data set by split: ``train``, and perhaps ``validation`` and ``test``."""

    name: str
    classes: tuple[str, ...]
    splits: dict[str, Encoded | Pixels]
    fingerprint: str
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    padding: int | None = None
    flip: bool = True
