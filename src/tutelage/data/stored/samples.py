"""Samples that batches are read from: decoded images in a memory map, or encoded images decoded by worker processes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tutelage.data.source import Encoded, Near, Pixels, Rows, ShardError
from tutelage.data.stored.crops import Draws, Framing, draw_boxes
from tutelage.data.stored.decode import is_constant, read_image
from tutelage.data.workers import PREFETCHED, explain_end, explain_start, share, signals_kept, warn_of_pipes
from tutelage.errors import TutelageError


class Batch(NamedTuple):
    """Batch of decoded, unnormalized images with labels."""

    images: Tensor
    """Images (B, 3, H, W), uint8 RGB; on the GPU if the data set is stored there, on the CPU otherwise."""
    labels: Tensor
    """Labels (B,), int64, −1 if unlabeled."""
    index: Tensor  # type: ignore[assignment]
    """Row numbers (B,) of the samples in the whole training set, int64, even if only part of it is used."""


Task = tuple[Rows, int | None, Near]
"""Rows of a batch, the epoch of their views (None for evaluation), and the shards to prefetch."""


class Reader(Protocol):
    """Protocol for reading batches of samples."""

    def read(self, groups: Sequence[Rows], epoch: int | None) -> Iterator[Batch]:
        """Yield one batch per group of rows, with views of ``epoch``, or of evaluation if it is None."""
        ...


class Samples(Protocol):
    """Protocol for labeled images by row."""

    @property
    def labels(self) -> Rows: ...

    @property
    def broken(self) -> dict[int, str]:
        """Error message for each row that is known to be unreadable and skipped."""
        ...

    def unlabel(self, rows: Rows) -> None:
        """Set the labels of these rows to −1."""
        ...

    def reader(self) -> Reader: ...


class PackedSamples:
    """Decoded small images of one size. Their views are computed per batch on the device."""

    def __init__(self, pixels: Pixels) -> None:
        self.images = pixels.images
        self.labels = pixels.labels
        self.broken = dict(pixels.broken)
        self._resident: Tensor | None = None

    def unlabel(self, rows: Rows) -> None:
        self.labels = _unlabelled(self.labels, rows)

    def reader(self) -> PackedSamples:
        return self

    def keep_on(self, device: torch.device) -> None:
        """Copy all images to a GPU once, if they need at most a quarter of its free memory."""
        if (
            self._resident is None
            and device.type == "cuda"
            and 4 * self.images.nbytes <= torch.cuda.mem_get_info(device)[0]
        ):
            self._resident = torch.from_numpy(np.array(self.images)).to(device)

    def read(self, groups: Sequence[Rows], epoch: int | None) -> Iterator[Batch]:
        for rows in groups:
            yield Batch(self._images(rows), torch.from_numpy(self.labels[rows]), torch.from_numpy(rows))

    def _images(self, rows: Rows) -> Tensor:
        if self._resident is None:
            return torch.from_numpy(self.images[rows])
        return self._resident[torch.from_numpy(rows).to(self._resident.device, non_blocking=True)]


@dataclass(frozen=True)
class CropPolicy:
    """Policy for the crops of images as they are decoded."""

    framing: Framing
    scale: tuple[float, float] | None
    """Range of the random crop's area in training. None for the same crop as in evaluation."""
    view_seed: int

    def draw(self, rows: Rows, epoch: int | None) -> Sequence[Draws | None]:
        """Return the random numbers for each row's crop at ``epoch``, or None for crops that are not random."""
        if self.scale is None or epoch is None:
            return [None] * len(rows)
        return draw_boxes(self.view_seed, epoch, torch.from_numpy(rows))

    def __call__(self, image: Tensor, draws: Draws | None) -> Tensor:
        if self.scale is None or draws is None:
            return self.framing.centre(image)
        return self.framing.random(image, self.scale, draws)


@dataclass(eq=False)
class DecodedSamples:
    """Encoded larger images, which ``workers`` processes decode and crop each time."""

    encoded: Encoded
    policy: CropPolicy
    workers: int
    skip_broken: bool
    broken: dict[int, str] = field(default_factory=dict)
    """Error message for each unreadable row found so far."""
    constant: set[int] = field(default_factory=set)
    """Rows found so far whose pixels all have one color."""

    def __post_init__(self) -> None:
        self.labels = self.encoded.labels

    def unlabel(self, rows: Rows) -> None:
        self.labels = _unlabelled(self.labels, rows)

    def reader(self) -> DecodingReader:
        return DecodingReader(self)

    def report(self, faults: dict[int, str]) -> None:
        """Raise the first error, or record and warn of new ones if unreadable images are skipped."""
        for row, fault in faults.items():
            if not self.skip_broken:
                raise TutelageError(fault)
            if row not in self.broken:
                self.broken[row] = fault
                warnings.warn(f"skipped an unreadable image ({len(self.broken)} so far): {fault}", stacklevel=2)

    def report_constant(self, rows: Sequence[int]) -> None:
        """Record images of one color, and warn of the first, the tenth, the hundredth …"""
        for row in rows:
            if row not in self.constant:
                self.constant.add(row)
                if str(len(self.constant)).strip("0") == "1":
                    place = self.encoded.place(row)
                    warnings.warn(f"an image has only one color ({len(self.constant)} so far): {place}", stacklevel=2)


def _unlabelled(labels: Rows, rows: Rows) -> Rows:
    """Return a copy of the labels with −1 for ``rows``; the labels of the source do not change."""
    labels = labels.copy()
    labels[rows] = -1
    return labels


class DecodingReader:
    """Reader with worker processes that persist between passes. Only one pass can be read at a time."""

    def __init__(self, samples: DecodedSamples) -> None:
        self._samples = samples
        self._plan = _Plan()
        self._loader = DataLoader(
            _Decoder(samples.encoded, samples.policy),
            batch_sampler=self._plan,
            num_workers=samples.workers,
            collate_fn=_shared if samples.workers else _as_is,
            prefetch_factor=PREFETCHED if samples.workers else None,
            persistent_workers=samples.workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def read(self, groups: Sequence[Rows], epoch: int | None) -> Iterator[Batch]:
        nears = self._samples.encoded.plan(groups)
        self._plan.tasks = [(rows, epoch, near) for rows, near in zip(groups, nears)]
        for images, rows, faults, constant, failure in self._decoded():
            if failure is not None:
                raise ShardError(failure)
            self._samples.report(faults)
            self._samples.report_constant(constant)
            if isinstance(images, np.ndarray):
                warn_of_pipes(images.nbytes, self._samples.workers)
            if len(rows):
                yield Batch(
                    torch.as_tensor(images), torch.from_numpy(self._samples.labels[rows]), torch.from_numpy(rows)
                )

    def _decoded(self) -> Iterator[_Decoded]:
        try:
            try:
                with signals_kept():
                    batches = iter(self._loader)
            except (OSError, EOFError) as error:
                raise explain_start(error) from None
            yield from batches
        except (RuntimeError, ConnectionError, EOFError) as error:
            raise explain_end(error) or error from None


class _Plan:
    """Batch sampler with the batches of one pass."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []

    def __iter__(self) -> Iterator[Any]:  # yields tasks, not the lists of DataLoader's annotation, which it accepts too
        return iter(self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)


class _Decoded(NamedTuple):
    images: Tensor | np.ndarray[Any, Any]
    rows: Rows
    faults: dict[int, str]
    constant: list[int]
    failure: str | None = None
    """Error message if a shard cannot be read."""


class _Decoder(Dataset[_Decoded]):
    """Batches as a worker decodes them. Errors are returned, because DataLoader rewrites exceptions of workers."""

    def __init__(self, encoded: Encoded, policy: CropPolicy) -> None:
        self.encoded = encoded
        self.policy = policy

    def __getitems__(self, task: Task) -> _Decoded:
        wanted, epoch, near = task
        self.encoded.bring(near)
        images, rows, constant = [], [], []
        faults: dict[int, str] = {}
        for row, draws in zip(wanted.tolist(), self.policy.draw(wanted, epoch)):
            try:
                image = read_image(self.encoded, row)
                images.append(self.policy(image, draws))
                rows.append(row)
                if is_constant(image):
                    constant.append(row)
            except ShardError as error:
                return _Decoded(torch.empty(0), np.empty(0, np.int64), {}, [], str(error))
            except TutelageError as error:
                faults[row] = str(error)
        if faults and rows and epoch is not None:
            # In training, readable images of the batch fill the gaps: processes and compiled graphs need full batches.
            gaps = np.arange(len(faults)) % len(rows)
            images += [images[place] for place in gaps]
            rows += [rows[place] for place in gaps]
        stacked = torch.stack(images) if images else torch.empty(0, dtype=torch.uint8)
        return _Decoded(stacked, np.array(rows, np.int64), faults, constant)


def _as_is(decoded: Any) -> Any:
    return decoded


def _shared(decoded: Any) -> Any:
    return decoded._replace(images=share(decoded.images))
