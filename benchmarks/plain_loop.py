"""Images a second of KD, wrn_40_2 → wrn_16_2, batch 64: this package's step loop beside a plain loop, in one run.

The plain loop is what public repositories do: float32, contiguous tensors, PIL augmentation in two loader workers, a
live teacher, ``.item()`` every step. Both see the same real images (CIFAR-10 as parquet); the two take turns, and
medians of the turns are compared, since machines drift.

    python benchmarks/plain_loop.py [--data FOLDER] [--turns 5] [--steps 30]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from tutelage.data import DataSettings, ImageData, Normalization, TrainLoader, Views, open_data
from tutelage.distillation import Distiller, Teacher
from tutelage.models import create_model
from tutelage.terms import OptimizerSettings
from tutelage.training.optimizer import build_optimizer

BATCH, TEMPERATURE, ALPHA = 64, 4.0, 0.9
TEACHER, STUDENT = "wrn_40_2", "wrn_16_2"


class PilImages(Dataset[tuple[Tensor, int]]):
    """The training images as PIL images, augmented one by one."""

    def __init__(self, data: ImageData) -> None:
        loader = TrainLoader(data.train, 1000, seed=0)
        batches = list(loader.epoch(0))
        self.images = torch.cat([batch.images for batch in batches]).permute(0, 2, 3, 1).contiguous().numpy()
        self.labels = torch.cat([batch.labels for batch in batches]).tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(data.mean, data.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


def plain(data: ImageData) -> Callable[[int], None]:
    """Returns a function that takes so many steps of the plain loop."""
    torch.manual_seed(0)
    teacher, student = create_model(TEACHER).eval(), create_model(STUDENT).train()
    optimizer = torch.optim.SGD(student.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    loader = DataLoader(PilImages(data), BATCH, shuffle=True, num_workers=2, drop_last=True, persistent_workers=True)

    def forever() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield from loader

    batches = forever()

    def steps(count: int) -> None:
        for _ in range(count):
            images, labels = next(batches)
            with torch.no_grad():
                teacher_logits = teacher(images)
            logits = student(images)
            soft = F.kl_div(
                F.log_softmax(logits / TEMPERATURE, 1),
                F.softmax(teacher_logits / TEMPERATURE, 1),
                reduction="batchmean",
            )
            loss = (1 - ALPHA) * F.cross_entropy(logits, labels) + ALPHA * TEMPERATURE**2 * soft
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()

    return steps


def ours(data: ImageData, precision: str) -> Callable[[int], None]:
    """Returns a function that takes so many steps as the training room takes them."""
    torch.manual_seed(0)
    normalization = Normalization(data.mean, data.std)
    teacher = Teacher(create_model(TEACHER).to(memory_format=torch.channels_last), normalization)
    student: nn.Module = create_model(STUDENT).to(memory_format=torch.channels_last)
    distiller = Distiller(student, teacher, "kd", normalization=normalization)
    optimizer = build_optimizer(distiller.parameters(), OptimizerSettings(lr=0.05))
    views, loader = Views.of(data, DataSettings(name="cifar")), TrainLoader(data.train, BATCH, seed=0)

    def forever() -> Iterator[tuple[Tensor, Tensor]]:
        epoch = 0
        while True:
            for batch in loader.epoch(epoch):
                yield views(batch.images, batch.index, epoch), batch.labels
            epoch += 1

    batches = forever()

    def steps(count: int) -> None:
        for _ in range(count):
            images, labels = next(batches)
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                out = distiller(images.contiguous(memory_format=torch.channels_last), labels)
            out.loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = Path(os.environ.get("TUTELAGE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    parser.add_argument("--data", default=str(shared / "cifar10-jpeg"))
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30)
    arguments = parser.parse_args()
    data = open_data(DataSettings(name=arguments.data))
    variants = {"plain": plain(data), "fp32": ours(data, "fp32")}
    if torch.backends.cpu.get_cpu_capability() != "AVX2":  # below AVX-512, bf16 is emulated
        variants["bf16"] = ours(data, "bf16")
    speeds: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(arguments.turns + 1):
        for name, steps in variants.items():
            start = time.perf_counter()
            steps(arguments.steps)
            if turn > 0:  # the first turn warms up
                speeds[name].append(arguments.steps * BATCH / (time.perf_counter() - start))
    medians = {name: round(statistics.median(values), 1) for name, values in speeds.items()}
    ratios = {f"{name}/plain": round(medians[name] / medians["plain"], 2) for name in medians if name != "plain"}
    report = {
        "pair": f"{TEACHER} -> {STUDENT}",
        "batch": BATCH,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "images_per_second": medians,
        "ratios": ratios,
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
