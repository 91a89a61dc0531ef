"""Results as runs leave them, for what is made of several."""

from __future__ import annotations

from typing import Any

from tutelage.training import Result


def result(method: str, seed: int, top1: float, student: str = "resnet8", **changes: Any) -> Result:
    """Returns the result of a short run on digits, on the test split; ``changes`` replace other fields."""
    return Result(
        status="finished",
        method=method,
        data="digits",
        student=student,
        teacher=None,
        seed=seed,
        epochs=1,
        split="test",
        top1=top1,
        top5=100.0,
        best_top1=None,
        best_epoch=None,
        validation_top1=None,
        teacher_top1=None,
        agreement=None,
        parameters=1234,
        teacher_parameters=None,
        precision="fp32",
        seconds=2.0 + seed,
        images_per_second=1.0,
        git=None,
        packages={},
        folder="",
    ).model_copy(update=changes)
