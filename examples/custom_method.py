"""Register your own loss and method, which you can then use by name everywhere in tutelage.

Similarity-preserving distillation (Tung and Mori, "Similarity-Preserving Knowledge Distillation", ICCV 2019): images
with similar activations in the teacher should have similar activations in the student.

    python examples/custom_method.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

import tutelage
from tutelage.methods import METHODS, Method, Pair
from tutelage.terms import Stage, Term


def similarities(features: Tensor) -> Tensor:
    """Return G (B, B) with unit-norm rows, where G_ij is the inner product of the features of samples i and j."""
    flat = features.flatten(1)
    return F.normalize(flat @ flat.T)


def similarity_loss(student: Tensor, target: Tensor) -> Tensor:
    """Return ‖G_s − G_t‖²_F / B²."""
    return F.mse_loss(similarities(student), target)


@METHODS.register("similarity")
class Similarity(Method):
    """Similarity-preserving: CE + γ · ‖G_s − G_t‖²_F / B² at the deepest paired level."""

    weight: float = Field(3000.0, ge=0, description="γ")
    taps: dict[str, str] | None = Field(None, description="teacher tap: student tap; default: the deepest pair")

    def stages(self, pair: Pair) -> list[Stage]:
        """Return a single stage with one term."""
        theirs, ours = pair.taps(self.taps, "similarity")[-1]
        term = Term(f"similarity.{ours}", self.weight, (ours,), (theirs,), similarities, similarity_loss)
        return [Stage("train", pair.epochs, (term,))]


if __name__ == "__main__":
    part = {"name": "digits", "fraction": 0.3}
    quick = {"data": part, "batch_size": 16, "optimizer": {"name": "adamw", "lr": 0.005}, "precision": "fp32"}
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder)
        tutelage.train(**quick, model="resnet14", epochs=2, out=runs / "teacher")
        tutelage.distill(
            **quick,
            teacher=runs / "teacher",
            student="resnet8",
            method="kd+similarity",
            similarity={"weight": 1000},
            epochs=2,
            out=runs / "student",
        )
