"""Measure the preprocessing of a transformers image processor on a few known images.

Each processor class has its own rules and defaults for ``preprocessor_config.json``, and both change between releases.
Measuring the output does not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tutelage.errors import TutelageError, shortened

PREPROCESSOR = "preprocessor_config.json"
_SIDE = 512
"""Height of the test images."""
_LARGEST = 4096
_SMALLEST_CROP = 0.1
_DIGITS = 4
_CLOSE = 1e-3

Process = Callable[[Tensor], Tensor]
"""Image (3, H, W) with values in [0, 1] → input of the network (3, h, w)."""


def measure_preprocessing(folder: Path) -> dict[str, Any]:
    """Return ``mean``, ``std``, ``input_size``, ``crop`` and ``resize`` of a folder, as in ``ModelSpec``.

    Raises:
        TutelageError: If ``preprocessor_config.json`` is damaged or does more than resize, crop and normalize channels.
    """
    from transformers import AutoImageProcessor

    path = folder / PREPROCESSOR
    try:
        processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        _check_sizes(processor)

        def process(image: Tensor) -> Tensor:
            images = processor(images=255 * image, input_data_format="channels_first", return_tensors="pt").pixel_values
            if images.ndim != 4 or images.shape[:2] != (1, 3):
                raise TutelageError(f"it returns a tensor of shape {tuple(images.shape)}, not (1, 3, H, W)")
            processed: Tensor = images[0].double()
            return processed

        mean, std = _normalization(process)
        return {"mean": tuple(mean.tolist()), "std": tuple(std.tolist()), **_framing(process, mean, std)}
    except Exception as error:  # files of unknown origin can make the processor fail in any way
        raise TutelageError(
            f"'{path}': unsupported image processor ({shortened(error)}); fix the file, or remove it and set mean, std "
            f"and input_size"
        ) from error


def _check_sizes(processor: Any) -> None:
    """Raise TutelageError for sizes that would exhaust the memory."""
    for key in ("size", "crop_size", "pad_size"):
        size = getattr(processor, key, None)
        sides = [getattr(size, name, None) or 0 for name in ("height", "width", "shortest_edge", "longest_edge")]
        if max(sides) > _LARGEST:
            raise TutelageError(f"its {key} is more than {_LARGEST} pixels")
    if (getattr(processor, "crop_pct", None) or 1) < _SMALLEST_CROP:
        raise TutelageError(f"its crop_pct is less than {_SMALLEST_CROP}")


def _normalization(process: Process) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation per channel, computed from three colors because normalization is linear."""

    def processed(*color: float) -> Tensor:
        image = process(torch.tensor(color).view(3, 1, 1).repeat(1, _SIDE, _SIDE))
        return image[:, image.shape[1] // 2, image.shape[2] // 2]

    black, white, red = processed(0, 0, 0), processed(1, 1, 1), processed(1, 0, 0)
    std = 1 / (white - black)
    if not (std.isfinite() & (std > 0)).all():
        raise TutelageError("its image_std or rescale_factor is not a positive number")
    if not torch.allclose(red, torch.stack([white[0], black[1], black[2]]), atol=_CLOSE):
        raise TutelageError("it reorders the color channels, and tutelage uses RGB")
    return (0 - black * std).round(decimals=6), std.round(decimals=6)


def _framing(process: Process, mean: Tensor, std: Tensor) -> dict[str, Any]:
    """Return the network's input size and how images of another size and shape are fitted."""

    def shown(width: int) -> tuple[tuple[int, int], float, float]:
        """Return the output size (h, w) for an image of this width, and the visible fractions of height and width."""
        columns, rows = (torch.arange(0.5, side) / side for side in (width, _SIDE))
        across, down = columns.expand(_SIDE, width), rows[:, None].expand(_SIDE, width)
        ramps = process(torch.stack([across, down, torch.zeros(_SIDE, width)])) * std.view(3, 1, 1) + mean.view(3, 1, 1)
        height, breadth = ramps.shape[1:]
        return (height, breadth), _extent(ramps[1, :, breadth // 2]), _extent(ramps[0, height // 2])

    size, height, width = shown(_SIDE)
    wide_size, _, wide = shown(2 * _SIDE)
    if min(height, width) > 1 - _CLOSE:
        distorted = wide_size == size and abs(wide - width) < _CLOSE
        return {"input_size": size, "crop": 1.0, "resize": "squash" if distorted else "crop"}
    return {"input_size": size, "crop": round(min(height, 1.0), _DIGITS), "resize": "crop"}


def _extent(ramp: Tensor) -> float:
    """Return the visible fraction of a 0-to-1 ramp from the slope of its middle, because resizing distorts its ends."""
    quarter = len(ramp) // 4
    first, last = quarter, len(ramp) - 1 - quarter
    return float(ramp[last] - ramp[first]) / (last - first) * len(ramp)
