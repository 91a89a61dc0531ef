"""The plain loop: distillation steps as in public repositories, to compare with the steps of tutelage.

It uses float32, contiguous tensors, PIL transforms in two loader workers, a live teacher, full forward passes of both
networks, losses as written in the papers, plain SGD, and ``.item()`` in every step.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from naive import Naive, naive_losses
from tutelage.data import Encoded, ImageData, Rows
from tutelage.data.stored import DecodedSamples, PackedSamples
from tutelage.taps import laid_out, tapped
from tutelage.terms import LOGITS, Stage


def plain_steps(
    data: ImageData,
    teacher: nn.Module | None,
    student: nn.Module,
    stage: Stage,
    batch_size: int,
    device: torch.device,
    lr: float = 0.01,
) -> Callable[[int], None] | None:
    """Return a function that takes steps of the plain loop, or None if a term has no naive loss.

    Both networks are moved to the device and set to the right mode. The steps train the student and copies of the
    stage's connectors, with the term weights at the start of the stage. ``teacher`` can be None if the stage does not
    need a teacher.
    """
    student = student.to(device)
    teacher = teacher.to(device) if teacher is not None else None
    losses = naive_losses(stage, teacher)
    if losses is None:
        return None
    loss_of = PlainLoss(teacher, student, stage, losses)
    loss_of.connectors.to(device)
    parameters = [*student.parameters(), *loss_of.connectors.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=lr, momentum=0.9, weight_decay=5e-4)
    batches = _forever(PilImages(data), batch_size)

    def steps(count: int) -> None:
        with _usual_kernels():
            for _ in range(count):
                images, labels = next(batches)
                loss = loss_of(images.to(device), labels.to(device))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                loss.item()

    return steps


@contextmanager
def _usual_kernels() -> Iterator[None]:
    """Allow TF32 in convolutions, which is PyTorch's default and not changed in public repositories."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


class PlainLoss:
    """The loss of a stage on a batch of normalized images (B, 3, H, W) and labels (B,), −1 if unlabeled.

    ``losses`` are the naive losses of the stage's terms. A teacher that uses batch statistics is in train mode, as in
    public code, so that its running statistics drift.
    """

    def __init__(self, teacher: nn.Module | None, student: nn.Module, stage: Stage, losses: Sequence[Naive]) -> None:
        self.stage = stage
        self.losses = losses
        self.student = tapped(student.train(), stage.student_taps)
        self.teacher: nn.Module | None = None
        if stage.needs_teacher:
            assert teacher is not None
            self.teacher = tapped(teacher.train(stage.teacher_mode == "batch"), stage.teacher_taps)
        self.connectors = nn.ModuleList(copy.deepcopy(term.connector) for term in stage.terms)
        self.connectors.to(memory_format=torch.contiguous_format)

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            theirs = _read(self.teacher, images) if self.teacher is not None else {}
        ours = _read(self.student, images)
        loss = torch.zeros((), device=images.device)
        if self.stage.task_weight > 0:
            loss = self.stage.task_weight * F.cross_entropy(ours[LOGITS], labels, ignore_index=-1)
        for term, connector, naive in zip(self.stage.terms, self.connectors, self.losses):
            adapted = connector(*(ours[tap] for tap in term.student_taps))
            student = list(adapted) if isinstance(adapted, tuple) else [adapted]
            loss = loss + term.weight * naive(student, [theirs[tap] for tap in term.teacher_taps])
        return loss


def _read(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    logits, features = network(images)
    return {LOGITS: logits, **laid_out(features, images.shape[2:])}


class PilImages(Dataset[tuple[Tensor, int]]):
    """The training images, augmented one by one with PIL, as normalized (3, H, W) tensors with their labels.

    Small images are kept decoded, and cropped after padding; larger images are decoded each time, and cropped at a
    random scale. Both are mirrored if the views of the data are.
    """

    def __init__(self, data: ImageData) -> None:
        samples, rows = data.train.samples, data.train.rows
        self.labels = data.train.labels.tolist()
        self.image: Callable[[int], Image.Image]
        if isinstance(samples, PackedSamples):
            self.image = Packed(np.ascontiguousarray(samples.images[rows].transpose(0, 2, 3, 1)))
            crop: nn.Module = transforms.RandomCrop(data.size, padding=data.views.padding)
        else:
            assert isinstance(samples, DecodedSamples)
            self.image = Decoding(samples.encoded, rows)
            crop = transforms.RandomResizedCrop(data.size)
        mirror = [transforms.RandomHorizontalFlip()] if data.views.flip else []
        self.transform = transforms.Compose(
            [crop, *mirror, transforms.ToTensor(), transforms.Normalize(data.mean, data.std)]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.image(index)), self.labels[index]


@dataclass(frozen=True, eq=False)
class Packed:
    """Images that are already decoded, (N, H, W, 3) uint8."""

    pixels: npt.NDArray[np.uint8]

    def __call__(self, index: int) -> Image.Image:
        return Image.fromarray(self.pixels[index])


@dataclass(frozen=True, eq=False)
class Decoding:
    """Images that are decoded on access."""

    encoded: Encoded
    rows: Rows

    def __call__(self, index: int) -> Image.Image:
        return Image.open(io.BytesIO(self.encoded.fetch(int(self.rows[index])))).convert("RGB")


def _forever(images: PilImages, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    loader = DataLoader(
        images, min(batch_size, len(images)), shuffle=True, num_workers=2, drop_last=True, persistent_workers=True
    )
    while True:
        yield from loader
