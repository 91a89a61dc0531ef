"""Folders of transformers whose files lie or are damaged: refused by the file's name, and no code in them runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.transformers_folders import save_vit
from hostile.test_weights import Payload
from tutelage import TutelageError
from tutelage.models import create_model

CODE = "open('hacked', 'w')\n"
REMOTE = {"AutoConfig": "evil.Config", "AutoModelForImageClassification": "evil.Model"}

CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "more classes than there are": ({"id2label": {"0": "a", "1": "b", "2": "c"}}, "shapes of the weights differ"),
    "names under words": ({"id2label": {"x": "a", "y": "b"}}, "cannot load"),
    "names in a list": ({"id2label": ["cat", "dog"]}, "cannot load"),
    "more layers than there are": ({"num_hidden_layers": 5}, r"16 entries .* missing.*\(vit"),
    "a width in words": ({"hidden_size": "wide"}, "cannot load"),
    "a width of no memory": ({"hidden_size": 10**6}, "shapes of the weights differ"),
    "no classifier of images": ({"model_type": "bert"}, "cannot load"),
    "a network that nobody knows": ({"model_type": "evil"}, "cannot load"),
    "code for a network that nobody knows": ({"model_type": "evil", "auto_map": REMOTE}, "cannot load"),
}
PROCESSORS: dict[str, tuple[dict[str, Any], str]] = {
    "a deviation of nothing": ({"image_std": [0, 0, 0]}, "image_std"),
    "a negative deviation": ({"image_std": [-1, -1, -1]}, "image_std"),
    "a mean that is not a number": ({"image_mean": [float("nan")] * 3}, ""),
    "a mean in words": ({"image_mean": "abc"}, ""),
    "a size of no memory": ({"size": {"height": 10**6, "width": 10**6}}, "size is more than 4096 pixels"),
    "a size in words": ({"size": "large"}, ""),
    "a size of nothing": ({"size": {"height": 0, "width": 0}}, ""),
    "a crop of no memory": ({"do_center_crop": True, "crop_size": {"height": 10**6, "width": 10**6}}, "crop_size"),
    "a crop of almost nothing": (
        {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 64}, "crop_pct": 1e-6}, "crop_pct"
    ),
    "a processor that nobody knows": (
        {"image_processor_type": "Evil", "auto_map": {"AutoImageProcessor": "evil.Processor"}}, ""
    ),
    "other colors": (
        {"image_processor_type": "MobileViTImageProcessor", "do_flip_channel_order": True}, "reorders the color"
    ),
}  # fmt: skip
TEXTS = {"nothing": b"", "half of it": b'{"model_type": "vi', "a list": b"[1]", "brackets": b"[" * 100_000}


@pytest.fixture
def saved() -> Path:
    save_vit(Path("saved"), ("cat", "dog"))
    Path("saved/evil.py").write_text(CODE)
    return Path("saved")


def change(path: Path, changes: dict[str, Any]) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_that_lies(saved: Path, name: str) -> None:
    changes, expected = CONFIGS[name]
    change(saved / "config.json", changes)
    with pytest.raises(TutelageError, match=expected) as error:
        create_model("saved")
    assert "config.json" in str(error.value)
    assert not Path("hacked").exists()


@pytest.mark.parametrize("name", PROCESSORS)
def test_a_preprocessor_that_lies(saved: Path, name: str) -> None:
    changes, expected = PROCESSORS[name]
    change(saved / "preprocessor_config.json", changes)
    with pytest.raises(TutelageError, match=rf"'saved/preprocessor_config\.json'.*{expected}"):
        create_model("saved")
    assert not Path("hacked").exists()


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json"])
def test_a_file_that_is_damaged(saved: Path, file: str, name: str) -> None:
    (saved / file).write_bytes(TEXTS[name])
    with pytest.raises(TutelageError, match=rf"'saved/{file}'"):
        create_model("saved")


def test_code_in_the_folder_is_not_run(saved: Path) -> None:
    change(saved / "config.json", {"auto_map": REMOTE})
    change(saved / "preprocessor_config.json", {"auto_map": {"AutoImageProcessor": "evil.Processor"}})
    assert create_model("saved").spec.classes == ("cat", "dog")
    assert not Path("hacked").exists()


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "_attn_implementation_internal"])
def test_attention_kernels_of_the_hub_are_not_taken(saved: Path, key: str) -> None:
    change(saved / "config.json", {key: "kernels-community/flash-attn"})
    assert create_model("saved").model.config._attn_implementation == "eager"


def test_weights_that_are_missing(saved: Path) -> None:
    torch.save({"x": Payload()}, saved / "pytorch_model.bin")
    (saved / "model.safetensors").unlink()
    with pytest.raises(TutelageError, match=r"saved/model.safetensors': there is no such file.*save_pretrained"):
        create_model("saved")
    assert not Path("hacked").exists()


def test_weights_that_are_damaged(saved: Path) -> None:
    content = (saved / "model.safetensors").read_bytes()
    (saved / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(TutelageError, match=r"config.json' and 'model.safetensors'"):
        create_model("saved")


def test_weights_that_lack_an_entry_are_not_made_up(saved: Path) -> None:
    state = load_file(saved / "model.safetensors")
    del state["classifier.weight"]
    save_file(state, saved / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(TutelageError, match=r"saved/model.safetensors'.*1 entries .*\(classifier.weight\)"):
        create_model("saved")
