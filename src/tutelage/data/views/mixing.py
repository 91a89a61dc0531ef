"""Mixup and CutMix of neighboring images in a batch, reproducible for each pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tutelage.data.hashing import Stream, uniform

if TYPE_CHECKING:
    from tutelage.data.settings import DataSettings

Floats = npt.NDArray[np.float64]

WHOLE = 1 << 14
"""Resolution of mixup's λ. Multiples of 1 / WHOLE mix bytes exactly in float32, and thus equally on every device."""


@dataclass(frozen=True)
class Mixing:
    """Policy for mixing the images of a batch in pairs, with their labels. Equal policies make equal mixtures.

    Mixup (Zhang et al., 2018) computes λ·x + (1 − λ)·x'. CutMix (Yun et al., 2019) pastes a box of x' with the fraction
    1 − λ of the area. If both are enabled, each pair gets one of them with equal probability. λ is drawn from
    Beta(α, α) and replaced by the greater of λ and 1 − λ, so that an image's own label dominates, as in FunMatch (Beyer
    et al., 2022).

    Both mixtures of a pair share λ and the box. Each image then has a total weight of one, as without mixing, and the
    balance of classes in the batch does not change.
    """

    classes: int
    mixup: float = 0.0
    """α of mixup; 0 to disable it."""
    cutmix: float = 0.0
    """α of CutMix; 0 to disable it."""
    probability: float = 1.0
    """Probability that a pair is mixed."""
    view_seed: int = 0
    """Seed of the random numbers."""

    @classmethod
    def of(cls, settings: DataSettings, classes: int) -> Mixing | None:
        """Return the policy of ``settings`` for this number of classes, or None if images are not mixed."""
        if not settings.mixtures:
            return None
        return cls(classes, settings.mixup, settings.cutmix, settings.mix_probability, settings.view_seed)

    def __call__(self, images: Tensor, labels: Tensor, start: int, epoch: int) -> tuple[Tensor, Tensor]:
        """Return mixtures of images and labels.

        The first image is paired with the second, the third with the fourth, …; a last one without a partner does not
        change. A mixture is a pure function of its two images and of (view seed, epoch, place in the epoch).

        Args:
            images: Images (B, 3, H, W), uint8.
            labels: Labels (B,), −1 if unlabeled.
            start: Place of the first image in the epoch, counted over all processes.
            epoch: Number of the epoch.

        Returns:
            The mixtures (B, 3, H, W), uint8, and soft labels (B, K), float32, both on the device of the images. An
            unlabeled image adds nothing to its rows, which then sum to less than one.
        """
        count, (height, width) = len(images), images.shape[2:]
        drawn = self._draw(count, start, epoch, height, width).to(images.device, non_blocking=True)
        partner = (torch.arange(count, device=images.device) ^ 1).clamp(max=count - 1)
        share, top, bottom, left, right = drawn.unbind()
        mixtures = images
        if self.mixup:
            mixtures = _blend(images, partner, share / WHOLE)
        if self.cutmix:
            box = _inside(top, bottom, height).unsqueeze(2) & _inside(left, right, width).unsqueeze(1)
            mixtures = torch.where(box.unsqueeze(1), images[partner], mixtures)
        own = share / WHOLE * (1 - (bottom - top) * (right - left) / (height * width))
        return mixtures, self._soften(labels, partner, own.unsqueeze(1))

    def _draw(self, count: int, start: int, epoch: int, height: int, width: int) -> Tensor:
        """Draw each image's share in mixup and its box in CutMix (top, bottom, left, right): (5, B), int32, on the CPU.

        Images without mixup have the share ``WHOLE``. Images without CutMix have an empty box.
        """
        # Imported here because it takes a third of a second, and few runs need it.
        from scipy.special import betaincinv

        first = start + (torch.arange(count) & -2)
        streams = torch.arange(Stream.MIX, Stream.MIX_COLUMN + 1).unsqueeze(1)
        mix, kind, quantile, row, column = uniform(self.view_seed, epoch, first, streams).numpy().astype(np.float64)
        cut = kind < (self.cutmix > 0) / ((self.mixup > 0) + (self.cutmix > 0))
        alpha = np.where(cut, self.cutmix, self.mixup)
        beta = betaincinv(alpha, alpha, quantile)
        given = np.where(mix < self.probability, np.minimum(beta, 1 - beta), 0)  # 1 − λ, the partner's share
        share = WHOLE - np.rint(np.where(cut, 0, given) * WHOLE)
        side = np.sqrt(np.where(cut, given, 0))
        drawn = np.stack([share, *_span(row, side, height), *_span(column, side, width)])
        return torch.from_numpy(drawn.astype(np.int32))

    def _soften(self, labels: Tensor, partner: Tensor, own: Tensor) -> Tensor:
        hard = (labels.unsqueeze(1) == torch.arange(self.classes, device=labels.device)).float()
        return own * hard + (1 - own) * hard[partner]


def _span(draw: Floats, side: Floats, length: int) -> tuple[Floats, Floats]:
    """Return each box's first pixel along an axis and the one after its last.

    The center is uniform in the image, and the box is clipped at the border.
    """
    size = np.floor(side * length)
    first = np.floor(draw * length) - size // 2
    return first.clip(0, length), (first + size).clip(0, length)


def _inside(first: Tensor, end: Tensor, length: int) -> Tensor:
    places = torch.arange(length, device=first.device)
    return (places >= first.unsqueeze(1)) & (places < end.unsqueeze(1))


def _blend(images: Tensor, partner: Tensor, share: Tensor) -> Tensor:
    own = images.float()
    return own[partner].lerp_(own, share.view(-1, 1, 1, 1)).add_(0.5).to(images.dtype)
