"""RandAugment with operations drawn per sample. All samples with the same operation are processed together."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from tutelage.data.hashing import Stream, uniform

MAGNITUDES = 31
"""Number of magnitudes, from 0 (no change) to 30 (strongest)."""


@dataclass(frozen=True)
class Strength:
    """Magnitude and direction of an operation."""

    magnitude: int
    sign: int = 1

    def between(self, start: float, stop: float) -> float:
        """Return the parameter at this magnitude, where ``start`` is the weakest and ``stop`` the strongest."""
        return float(torch.linspace(start, stop, MAGNITUDES)[self.magnitude])

    def up_to(self, stop: float) -> float:
        """Return the parameter at this magnitude from 0 to ``stop``, with the sign of the direction."""
        return self.sign * self.between(0, stop)


def _functions() -> Any:
    """Return torchvision's image functions, imported on first use because that takes seconds."""
    from torchvision.transforms.v2 import functional

    return functional


OPERATIONS: dict[str, Callable[[Tensor, Strength], Tensor]] = {
    "Identity": lambda images, by: images,
    "ShearX": lambda images, by: _move(images, "ShearX", by.up_to(0.3)),
    "ShearY": lambda images, by: _move(images, "ShearY", by.up_to(0.3)),
    "TranslateX": lambda images, by: _move(images, "TranslateX", by.up_to(150 / 331 * images.shape[3])),
    "TranslateY": lambda images, by: _move(images, "TranslateY", by.up_to(150 / 331 * images.shape[2])),
    "Rotate": lambda images, by: _move(images, "Rotate", by.up_to(30)),
    "Brightness": lambda images, by: _functions().adjust_brightness(images, 1 + by.up_to(0.9)),
    "Color": lambda images, by: _functions().adjust_saturation(images, 1 + by.up_to(0.9)),
    "Contrast": lambda images, by: _contrast(images, 1 + by.up_to(0.9)),
    "Sharpness": lambda images, by: _sharpness(images, 1 + by.up_to(0.9)),
    "Posterize": lambda images, by: _functions().posterize(images, 8 - round(by.between(0, 4))),
    "Solarize": lambda images, by: _functions().solarize(images, 255 * by.between(1, 0)),
    "AutoContrast": lambda images, by: _functions().autocontrast(images),
    "Equalize": lambda images, by: _functions().equalize(images),
}
"""Operations by torchvision's names, all equally likely. Both directions of an operation are equally likely, too."""


@dataclass(frozen=True)
class RandAugment:
    """RandAugment (Cubuk et al., 2020): a sequence of random operations from ``OPERATIONS``.

    Operations, magnitudes and pixel values are those of torchvision's ``v2.RandAugment`` with nearest-neighbor
    interpolation and black borders.
    """

    operations: int
    """Number of operations per image."""
    magnitude: int = 9
    """Magnitude of all operations, from 0 to 30."""
    view_seed: int = 0
    """Seed of the random numbers."""

    def __call__(self, images: Tensor, index: Tensor, epoch: int) -> Tensor:
        """Return augmented images.

        The result for a sample is a pure function of its pixels and of (view seed, epoch, index).

        Args:
            images: Images (B, 3, H, W), uint8, with sides of at least 3 pixels.
            index: Numbers (B,) of the samples, int64. If they are not on the CPU, the call waits for the device.
            epoch: Number of the epoch.

        Returns:
            The augmented images, on the same device.
        """
        for number in range(self.operations):
            images = self._apply(images, self.choose(index, epoch, number))
        return images

    def choose(self, index: Tensor, epoch: int, number: int) -> Tensor:
        """Return the choices (B,) for operation ``number``: twice the place in ``OPERATIONS``, plus 1 if negative."""
        return (uniform(self.view_seed, epoch, index, Stream.RANDAUGMENT + number) * 2 * len(OPERATIONS)).long()

    def _apply(self, images: Tensor, choices: Tensor) -> Tensor:
        # Sorting the samples by operation needs two copies of indices per batch; each operation then reads a slice.
        order = choices.argsort(stable=True)
        back = order.argsort().to(images.device, non_blocking=True)
        parts = images[order.to(images.device, non_blocking=True)].split(choices.bincount().tolist())
        operations = list(OPERATIONS.values())
        changed = [
            operations[choice // 2](part, Strength(self.magnitude, -1 if choice % 2 else 1))
            for choice, part in enumerate(parts)
            if len(part)
        ]
        return torch.cat(changed)[back]


def _move(images: Tensor, operation: str, by: float) -> Tensor:
    source, inside = _sources(operation, by, images.shape[2], images.shape[3], images.device)
    moved = images.flatten(2).index_select(2, source)
    moved *= inside
    return moved.view(images.shape)


@lru_cache(maxsize=64)
def _sources(operation: str, by: float, height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the source pixel (H·W,) of each pixel of a moved image, and whether there is one.

    torchvision is applied once, to an image of pixel numbers. The cached result makes CPU and CUDA agree exactly, and
    avoids copying a matrix to the device, which would wait for all kernels queued there.
    """
    numbers = torch.arange(1, height * width + 1, dtype=torch.float32).view(1, height, width)
    if operation == "Rotate":
        numbers = _functions().rotate(numbers, by)
    elif operation.startswith("Shear"):
        angle = math.degrees(math.atan(by))
        shear = [angle, 0.0] if operation == "ShearX" else [0.0, angle]
        numbers = _functions().affine(numbers, angle=0.0, translate=[0, 0], scale=1.0, shear=shear, center=[0, 0])
    else:
        translate = [int(by), 0] if operation == "TranslateX" else [0, int(by)]
        numbers = _functions().affine(numbers, angle=0.0, translate=translate, scale=1.0, shear=[0.0, 0.0])
    source = numbers.flatten().long() - 1
    return source.clamp(min=0).to(device), (source >= 0).to(device)


def _contrast(images: Tensor, factor: float) -> Tensor:
    """Adjust the contrast like torchvision, but with an exact mean, which does not depend on the order of summation."""
    grey = _functions().rgb_to_grayscale(images)
    mean = grey.sum((1, 2, 3), keepdim=True) / grey[0].numel()  # bytes are summed as int64
    return images.mul(factor).add_(mean, alpha=1 - factor).clamp_(0, 255).to(images.dtype)


def _sharpness(images: Tensor, factor: float) -> Tensor:
    """Adjust the sharpness like torchvision, but without its kernel: copying it would wait for the device's queue."""
    sharp = images.float()
    middle = sharp[..., 1:-1, 1:-1]
    blurred = ((avg_pool2d(sharp, 3, 1, divisor_override=1) + 4 * middle) / 13).round_()
    middle.add_(blurred.sub_(middle), alpha=1 - factor)
    return sharp.clamp_(0, 255).to(images.dtype)
