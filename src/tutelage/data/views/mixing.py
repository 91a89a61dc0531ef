"""Mixup and CutMix: each image with its neighbour in the batch, reproducible pair by pair."""

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
"""λ of mixup is a multiple of one part in this many: float32 then mixes bytes exactly, and alike on every device."""


@dataclass(frozen=True)
class Mixing:
    """The policy that mixes the images of a batch in pairs, with their labels; equal policies give equal mixtures.

    Mixup (Zhang et al., 2018) takes x ← λ·x + (1 − λ)·x', CutMix (Yun et al., 2019) a box of x', of 1 − λ of the area.
    Where both are on, each pair takes one or the other with probability one half. λ ~ Beta(α, α), and the greater of λ
    and 1 − λ, so that an image's own label dominates, as in FunMatch (Beyer et al., 2022).

    A pair has one λ and one box: over its two mixtures each image then counts for exactly one, as without mixing, and
    the classes of a batch stay in balance.
    """

    classes: int
    mixup: float = 0.0
    """α of mixup; 0: none."""
    cutmix: float = 0.0
    """α of CutMix; 0: none."""
    probability: float = 1.0
    """Of a pair to be mixed at all."""
    view_seed: int = 0

    @classmethod
    def of(cls, settings: DataSettings, classes: int) -> Mixing | None:
        """Return the policy of ``settings`` for so many classes; None if images are not mixed."""
        if not settings.mixing:
            return None
        return cls(classes, settings.mixup, settings.cutmix, settings.mix_probability, settings.view_seed)

    def __call__(self, images: Tensor, labels: Tensor, start: int, epoch: int) -> tuple[Tensor, Tensor]:
        """Returns the mixtures (B, 3, H, W) and their soft labels (B, K), float32, on the images' device.

        ``images`` (B, 3, H, W) are uint8 and stay so, ``labels`` (B,), −1 where unlabelled: such an image adds nothing
        to a row, which then sums to less than one. ``start`` is the place of the first image among all of the epoch, on
        all processes together. The pairs are the first and second image, the third and fourth, …; a last one without
        partner stays as it is. A mixture is a pure function of its two images and of (view seed, epoch, place).
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
        """Share of the image itself in mixup, and CutMix's box (top, bottom, left, right): (5, B), int32, on the host.

        An image that is not mixed up has the share ``WHOLE``, one that gets no box an empty one.
        """
        # Takes a third of a second to import, and few runs need it.
        from scipy.special import betaincinv

        first = start + (torch.arange(count) & -2)
        streams = torch.arange(Stream.MIX, Stream.MIX_COLUMN + 1).unsqueeze(1)
        mix, kind, quantile, row, column = uniform(self.view_seed, epoch, first, streams).numpy().astype(np.float64)
        cut = kind < (self.cutmix > 0) / ((self.mixup > 0) + (self.cutmix > 0))
        alpha = np.where(cut, self.cutmix, self.mixup)
        beta = betaincinv(alpha, alpha, quantile)
        given = np.where(mix < self.probability, np.minimum(beta, 1 - beta), 0)  # 1 − λ: what the partner gives
        share = WHOLE - np.rint(np.where(cut, 0, given) * WHOLE)
        side = np.sqrt(np.where(cut, given, 0))
        drawn = np.stack([share, *_span(row, side, height), *_span(column, side, width)])
        return torch.from_numpy(drawn.astype(np.int32))

    def _soften(self, labels: Tensor, partner: Tensor, own: Tensor) -> Tensor:
        hard = (labels.unsqueeze(1) == torch.arange(self.classes, device=labels.device)).float()
        return own * hard + (1 - own) * hard[partner]


def _span(draw: Floats, side: Floats, length: int) -> tuple[Floats, Floats]:
    """First pixel of each box along one axis, and the one after its last: middle anywhere, cut off at the border."""
    size = np.floor(side * length)
    first = np.floor(draw * length) - size // 2
    return first.clip(0, length), (first + size).clip(0, length)


def _inside(first: Tensor, end: Tensor, length: int) -> Tensor:
    places = torch.arange(length, device=first.device)
    return (places >= first.unsqueeze(1)) & (places < end.unsqueeze(1))


def _blend(images: Tensor, partner: Tensor, share: Tensor) -> Tensor:
    own = images.float()
    return own[partner].lerp_(own, share.view(-1, 1, 1, 1)).add_(0.5).to(images.dtype)
