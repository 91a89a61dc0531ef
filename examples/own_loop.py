"""Distillation in a plain PyTorch loop: two networks of other libraries, first in one stage, then in two.

The networks have random weights and the data come with scikit-learn, so that this runs offline in seconds. In earnest
the teacher is one that has been trained on the same classes.

    python examples/own_loop.py
"""

from __future__ import annotations

import timm
import torch
import torchvision
from sklearn.datasets import load_digits
from torch import Tensor, nn

import tutelage

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SIDE = 64


def build_networks() -> tuple[nn.Module, nn.Module]:
    """Returns a student and a teacher for ten classes; neither knows anything of tutelage."""
    student = torchvision.models.shufflenet_v2_x0_5(num_classes=10)
    teacher = timm.create_model("resnet18", num_classes=10)
    return student, teacher


def load_batches(count: int, size: int = 8) -> list[tuple[Tensor, Tensor]]:
    """Returns batches of digits, (B, 3, 64, 64) floats in [0, 1], with labels (B,)."""
    digits = load_digits()
    images = torch.from_numpy(digits.images[: count * size]).float() / 16
    images = images.repeat_interleave(SIDE // 8, 1).repeat_interleave(SIDE // 8, 2)
    labels = torch.from_numpy(digits.target[: count * size])
    return list(zip(images[:, None].repeat(1, 3, 1, 1).split(size), labels.split(size)))


def train_in_one_stage(batches: list[tuple[Tensor, Tensor]]) -> None:
    """A sum of two methods; nothing but the loss differs from training without a teacher."""
    student, teacher = build_networks()
    distiller = tutelage.Distiller(student, teacher, "kd+at", input_size=SIDE).to(DEVICE)
    optimizer = torch.optim.AdamW(distiller.parameters(), lr=1e-3)
    for images, labels in batches:
        out = distiller(images.to(DEVICE), labels.to(DEVICE))
        optimizer.zero_grad()
        out.loss.backward()
        optimizer.step()
        terms = ", ".join(f"{name} {value.item():.3f}" for name, value in out.terms.items())
        print(f"kd+at: loss {out.loss.item():.3f} = {terms}")


def train_in_two_stages(batches: list[tuple[Tensor, Tensor]]) -> None:
    """FitNets: first up to the hint, without logits; then the whole student."""
    student, teacher = build_networks()
    distiller = tutelage.Distiller(student, teacher, "fitnets", input_size=SIDE, epochs=2)
    for index, stage in enumerate(distiller.stages):
        distiller.enter(index)
        distiller.to(DEVICE)  # the new stage's connectors with it
        trained = [parameter for parameter in distiller.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=1e-3)
        for _ in range(stage.epochs):
            for images, labels in batches:
                out = distiller(images.to(DEVICE), labels.to(DEVICE))
                optimizer.zero_grad()
                out.loss.backward()
                optimizer.step()
        logits = "no logits" if out.logits is None else f"logits {tuple(out.logits.shape)}"
        print(f"fitnets, stage {stage.name}: {len(trained)} tensors trained, {', '.join(out.terms)}, {logits}")


def main() -> None:
    torch.manual_seed(0)
    batches = load_batches(count=2)
    train_in_one_stage(batches)
    train_in_two_stages(batches)


if __name__ == "__main__":
    main()
