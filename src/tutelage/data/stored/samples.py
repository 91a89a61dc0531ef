"""Labelled images that batches are read from: in a memory map, or encoded and decoded by worker processes."""

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
from tutelage.data.workers import PREFETCHED, explain_end, explain_start, share, warn_of_pipes
from tutelage.errors import TutelageError


class Batch(NamedTuple):
    """What loaders yield: images as decoded, not normalized."""

    images: Tensor
    """(B, 3, H, W) uint8, RGB; on the GPU if the whole set is kept there, else on the host."""
    labels: Tensor
    """(B,) int64, −1 where unlabelled."""
    index: Tensor  # type: ignore[assignment]
    """(B,) int64: the sample's place in the whole training set, whatever part of it is used."""


Task = tuple[Rows, int | None, Near]
"""The rows of a batch, the epoch of their views (None: those of evaluation), and the shards to have near by then."""


class Reader(Protocol):
    """Reads batches of one set of samples."""

    def read(self, groups: Sequence[Rows], epoch: int | None) -> Iterator[Batch]:
        """Yields a batch for each group of rows: views of ``epoch``, or of evaluation where that is None."""
        ...


class Samples(Protocol):
    """Labelled images, by row."""

    @property
    def labels(self) -> Rows: ...

    @property
    def broken(self) -> dict[int, str]:
        """What is wrong with each row that is known to be unreadable, and is left out."""
        ...

    def unlabel(self, rows: Rows) -> None:
        """Set the labels of these rows to −1."""
        ...

    def reader(self) -> Reader: ...


class PackedSamples:
    """Small images of one size; their views are made batch by batch, on the device."""

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
        """Copies all images to a GPU's memory once, where they take no more than a quarter of what is free there."""
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
    """How images become views as they are decoded."""

    framing: Framing
    scale: tuple[float, float] | None
    """Range of the random crop's area in training; None: the middle of the image, as in evaluation."""
    view_seed: int

    def draw(self, rows: Rows, epoch: int | None) -> Sequence[Draws | None]:
        """Returns what each row's crop at ``epoch`` is decided by; None: nothing random."""
        if self.scale is None or epoch is None:
            return [None] * len(rows)
        return draw_boxes(self.view_seed, epoch, torch.from_numpy(rows))

    def __call__(self, image: Tensor, draws: Draws | None) -> Tensor:
        if self.scale is None or draws is None:
            return self.framing.centre(image)
        return self.framing.random(image, self.scale, draws)


@dataclass(eq=False)
class DecodedSamples:
    """Larger images, decoded and cropped each time by ``workers`` processes."""

    encoded: Encoded
    policy: CropPolicy
    workers: int
    skip_broken: bool
    broken: dict[int, str] = field(default_factory=dict)
    """Grows as unreadable images are met."""
    constant: set[int] = field(default_factory=set)
    """Rows whose pixels are all alike, as they are met."""

    def __post_init__(self) -> None:
        self.labels = self.encoded.labels

    def unlabel(self, rows: Rows) -> None:
        self.labels = _unlabelled(self.labels, rows)

    def reader(self) -> DecodingReader:
        return DecodingReader(self)

    def report(self, faults: dict[int, str]) -> None:
        """Raises the first fault, or notes and tells new ones where broken images are skipped."""
        for row, fault in faults.items():
            if not self.skip_broken:
                raise TutelageError(fault)
            if row not in self.broken:
                self.broken[row] = fault
                warnings.warn(f"left out ({len(self.broken)} so far): {fault}", stacklevel=2)

    def report_constant(self, rows: Sequence[int]) -> None:
        """Warn of images of one color: of the first, the tenth, the hundredth …"""
        for row in rows:
            if row not in self.constant:
                self.constant.add(row)
                if str(len(self.constant)).strip("0") == "1":
                    place = self.encoded.place(row)
                    warnings.warn(f"one color throughout ({len(self.constant)} so far): {place}", stacklevel=2)


def _unlabelled(labels: Rows, rows: Rows) -> Rows:
    """Return a copy of the labels: the source keeps its own."""
    labels = labels.copy()
    labels[rows] = -1
    return labels


class DecodingReader:
    """Keeps its worker processes from one pass to the next; one pass at a time."""

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
            batches = iter(self._loader)
        except (OSError, EOFError) as error:
            raise explain_start(error) from None
        try:
            yield from batches
        except (RuntimeError, ConnectionError, EOFError) as error:
            raise explain_end(error) or error from None


class _Plan:
    """The batches of a pass, as the DataLoader's batch sampler."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []

    def __iter__(self) -> Iterator[Any]:  # of tasks, where a DataLoader expects lists; it hands on either
        return iter(self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)


class _Decoded(NamedTuple):
    images: Tensor | np.ndarray[Any, Any]
    rows: Rows
    faults: dict[int, str]
    constant: list[int]
    failure: str | None = None
    """Why the shard of an image cannot be had."""


class _Decoder(Dataset[_Decoded]):
    """What a worker does: a whole batch, and no exceptions, which would reach the main process as something else."""

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
            # In training, readable images of the batch fill the gaps: processes and compiled graphs want full batches.
            gaps = np.arange(len(faults)) % len(rows)
            images += [images[place] for place in gaps]
            rows += [rows[place] for place in gaps]
        stacked = torch.stack(images) if images else torch.empty(0, dtype=torch.uint8)
        return _Decoded(stacked, np.array(rows, np.int64), faults, constant)


def _as_is(decoded: Any) -> Any:
    return decoded


def _shared(decoded: Any) -> Any:
    return decoded._replace(images=share(decoded.images))
