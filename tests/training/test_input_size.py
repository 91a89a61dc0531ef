"""Networks of one input size, given images of another: the error names the setting, and what it says works."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch

import tutelage
from tutelage.errors import TutelageError

SMALL = {"data": {"name": "digits", "size": 32}, "epochs": 1, "batch_size": 64, "device": "cpu"}
ONE_SIZE = ["timm/vit_tiny_patch16_224", "timm/swin_tiny_patch4_window7_224", "timm/levit_128s"]


@pytest.mark.parametrize("name", ONE_SIZE)
def test_a_model_of_another_size(tmp_path: Path, name: str) -> None:
    with pytest.raises(TutelageError) as refused:
        tutelage.train(**SMALL, model=name, out=tmp_path / "run")
    message = str(refused.value)
    assert "does not accept 32x32 images" in message and "Set model.input_size=224 to resize the images" in message
    assert ("or model.input_size=32" in message) == ("levit" not in name)
    assert len(message.splitlines()) == 1 and "Proxy" not in message
    assert not (tmp_path / "run").exists()


def test_a_teacher_of_another_size(tmp_path: Path) -> None:
    network = timm.create_model("levit_128s")
    torch.save(network.state_dict(), tmp_path / "levit.pt")
    with pytest.raises(
        TutelageError, match="does not accept 32x32 images .* Set teacher.input_size to a size that it accepts"
    ):
        tutelage.distill(
            **SMALL,
            teacher={"name": "timm/levit_128s", "weights": str(tmp_path / "levit.pt"), "input_size": 32},
            student="resnet8",
            out=tmp_path / "run",
        )
