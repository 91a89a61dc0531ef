"""Saved models whose ``config.json`` lies: refused by name, and never a way to load something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from hostile.test_weights import Payload
from tutelage import TutelageError
from tutelage.models import create_model, save_model
from tutelage.models.spec import spec_of

SEEN = {"num_classes": 5}
TIMM: dict[str, Any] = {"architecture": "resnet18", "tutelage": {"name": "timm/resnet18"}}
TORCHVISION: dict[str, Any] = {"tutelage": {"name": "torchvision/resnet18"}}

LIES: dict[str, tuple[dict[str, Any], str]] = {
    "more classes than there are": ({"num_classes": 7}, "5 classes, the model's 7"),
    "fewer classes": ({"num_classes": 2}, "5 classes, the model's 2"),
    "no classes": ({"num_classes": 0}, "5 classes, the model's 0"),
    "negative classes": ({"num_classes": -1}, "num_classes"),
    "classes in words": ({"num_classes": "five"}, "num_classes"),
    "classes that are null": ({"num_classes": None}, "num_classes"),
    "classes that are a list": ({"num_classes": [5]}, "num_classes"),
    "half a class": ({"num_classes": 5.5}, "num_classes"),
    "a trillion classes": ({"num_classes": 10**12}, "num_classes"),
    "too few names": ({"label_names": ["a", "b"]}, "it names 2 classes, but num_classes is 5"),
    "too many names": ({"label_names": list("abcdefgh")}, "it names 8 classes, but num_classes is 5"),
    "names that are numbers": ({"label_names": [1, 2, 3, 4, 5]}, "label_names"),
    "names that are a word": ({"label_names": "abcde"}, "label_names"),
    "names under words": ({"label_names": {"a": "x", "b": "y"}}, "label_names"),
    "a size of one side": ({"pretrained_cfg": {**SEEN, "input_size": [3]}}, "input_size"),
    "a size in words": ({"pretrained_cfg": {**SEEN, "input_size": "abc"}}, "input_size"),
    "a negative size": ({"pretrained_cfg": {**SEEN, "input_size": [3, -5, 32]}}, "input_size"),
    "a size of no memory": ({"pretrained_cfg": {**SEEN, "input_size": [3, 10**9, 10**9]}}, "input_size"),
    "a mean in words": ({"pretrained_cfg": {**SEEN, "mean": ["a", "b", "c"]}}, "mean"),
    "a mean that is not a number": ({"pretrained_cfg": {**SEEN, "mean": [float("nan")] * 3}}, "mean"),
    "a deviation of nothing": ({"pretrained_cfg": {**SEEN, "std": [0, 0, 0]}}, "std"),
    "a negative crop": ({"pretrained_cfg": {**SEEN, "crop_pct": -3}}, "crop_pct"),
    "preprocessing that is a list": ({"pretrained_cfg": [1]}, "pretrained_cfg"),
    "no preprocessing": ({"pretrained_cfg": None}, "pretrained_cfg"),
    "no architecture": ({"architecture": None}, "architecture"),
    "an architecture that is not there": ({"tutelage": {"name": "evil"}}, "unknown model 'evil'"),
    "a path for a name": ({"tutelage": {"name": "../../etc/passwd"}}, "unknown model"),
    "a number for a name": ({"tutelage": {"name": 5}}, "tutelage.name"),
    "a word for our part": ({"tutelage": "x"}, "tutelage"),
    "timm's own prefix": (
        {"architecture": "local-dir:/tmp", "tutelage": {"name": "timm/local-dir:/tmp"}}, "unknown model"
    ),
    "timm's hub": ({"architecture": "hf-hub:a/b", "tutelage": {"name": "timm/hf-hub:a/b"}}, "unknown model"),
    "weights from a file": ({**TIMM, "model_args": {"checkpoint_path": "evil.pth"}}, "load other weights"),
    "weights by an overlay": (
        {**TIMM, "model_args": {"pretrained_cfg_overlay": {"file": "evil.pth"}}}, "load other weights"
    ),
    "weights from the network": ({**TIMM, "model_args": {"pretrained": True}}, "load other weights"),
    "a file in timm's description": (
        {**TIMM, "pretrained_cfg": {**SEEN, "file": "evil.pth", "url": "http://127.0.0.1:9/x"}}, "do not fit the model"
    ),
    "torchvision's weights": ({**TORCHVISION, "model_args": {"weights": "DEFAULT"}}, "the network cannot be built"),
    "an argument that is not there": ({**TORCHVISION, "model_args": {"x": 1}}, "the network cannot be built"),
    "arguments that are a list": ({**TIMM, "model_args": [1]}, "model_args"),
    "an argument in words": ({**TIMM, "model_args": {"layers": "x"}}, "the network cannot be built"),
    "a network of no memory": (
        {"tutelage": {"name": "torchvision/vit_b_16"}, "model_args": {"image_size": 10**6}}, "cannot be built"
    ),
}  # fmt: skip

TEXTS: dict[str, bytes] = {
    "nothing": b"",
    "half of it": b'{"architecture": "resnet8", "num_cl',
    "a list": b"[1, 2]",
    "a word": b'"resnet8"',
    "html": b"<html></html>",
    "random bytes": bytes(range(256)),
    "a hundred thousand brackets": b"[" * 100_000,
    "an empty object": b"{}",
}


@pytest.fixture
def saved() -> Path:
    model = create_model("resnet8", 5)
    save_model(model, "saved", spec_of(model))
    torch.save({"x": Payload()}, "evil.pth")
    return Path("saved")


@pytest.mark.parametrize("name", LIES)
def test_a_config_that_lies(name: str, saved: Path) -> None:
    changes, expected = LIES[name]
    config = {**json.loads((saved / "config.json").read_text()), **changes}
    (saved / "config.json").write_text(json.dumps(config))
    with pytest.raises(TutelageError) as error:
        create_model("saved")
    assert expected in str(error.value), error.value
    assert not Path("hacked").exists()


@pytest.mark.parametrize("name", TEXTS)
def test_a_config_that_is_none(name: str, saved: Path) -> None:
    (saved / "config.json").write_bytes(TEXTS[name])
    with pytest.raises(TutelageError, match=r"'saved/config.json': not the config of a saved model"):
        create_model("saved")


@pytest.mark.parametrize("file", ["pytorch_model.bin", "model.safetensors", "model.pt"])
def test_other_files_in_the_folder_are_not_read(file: str, saved: Path) -> None:
    torch.save({"x": Payload()}, saved / file)
    if file == "model.safetensors":
        with pytest.raises(TutelageError, match="this is not a weights file"):
            create_model("saved")
    else:
        assert spec_of(create_model("saved")).num_classes == 5
    assert not Path("hacked").exists()


def test_a_folder_without_its_weights(saved: Path) -> None:
    (saved / "model.safetensors").unlink()
    with pytest.raises(TutelageError, match=r"saved/model.safetensors': there is no such file"):
        create_model("saved")
