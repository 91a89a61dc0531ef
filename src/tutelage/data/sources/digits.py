"""Digits data set, which is part of the package and works offline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt


def load_digits() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the 1,797 handwritten digits of scikit-learn, in the same order.

    ``digits.txt``, next to the file, states their origin and license.

    Returns:
        Gray images (1797, 8, 8) with values from 0 (paper) to 16 (ink), and labels (1797,).

    Example:
        >>> images, labels = load_digits()
        >>> images.shape, labels[:5]
        ((1797, 8, 8), array([0, 1, 2, 3, 4]))
    """
    with np.load(Path(__file__).with_name("digits.npz")) as arrays:
        return arrays["images"], arrays["labels"].astype(np.int64)
