"""Devices without float64, such as Apple's MPS: nothing that may run on the device makes such a tensor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from harness.marks import quickly
from harness.runs import SMALL
from tutelage import distill, evaluate, train
from tutelage.methods import METHODS


class RefuseFloat64(TorchDispatchMode):
    """Raise for each operation that gives or takes a float64 tensor, as MPS does; here the CPU is the device."""

    def __torch_dispatch__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        for value in tree_leaves((args, kwargs, output)):
            if isinstance(value, torch.Tensor) and value.dtype == torch.float64:
                raise TypeError(f"{func}: this device has no float64")
        return output


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("teacher") / "run"
    train(**SMALL, model="resnet8", epochs=1, out=out)
    return out


def test_the_mode_refuses_float64() -> None:
    with RefuseFloat64(), pytest.raises(TypeError, match="no float64"):
        torch.ones(2).double()


@pytest.mark.parametrize("method", quickly(sorted(METHODS), {"kd", "fitnets", "at_gradient"}))
def test_every_method_trains(method: str, teacher: Path, tmp_path: Path) -> None:
    data = {"name": "digits", "fraction": 0.03}
    run = {**SMALL, "data": data, "teacher": teacher, "student": "resnet8", "method": method}
    with RefuseFloat64():
        # Gradients of every step are logged.
        distill(**run, epochs=3, log_every=1, out=tmp_path / "run")


def test_mixtures_randaugment_and_evaluation(teacher: Path, tmp_path: Path) -> None:
    data = {**SMALL["data"], "mixup": 0.8, "cutmix": 1.0, "randaugment": 2}
    with RefuseFloat64():
        train(**{**SMALL, "data": data}, model="resnet8", epochs=1, ema=0.9, out=tmp_path / "run")
        evaluate(model=teacher, device="cpu")
