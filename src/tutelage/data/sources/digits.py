"""The embedded digits: small enough to be part of the package, so that everything can be tried offline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt


def load_digits() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return the 1,797 handwritten digits that scikit-learn has too, in the same order.

    Their origin and license are stated in ``digits.txt``, next to the file.

    Returns:
        Gray images (1797, 8, 8) with values from 0 (paper) to 16 (ink), and their labels (1797,).
    """
    with np.load(Path(__file__).with_name("digits.npz")) as arrays:
        return arrays["images"], arrays["labels"].astype(np.int64)
