"""Folders saved by transformers: what they say of themselves is known, and their logits are transformers' own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from harness.transformers_folders import save_resnet, save_vit
from tutelage.errors import TutelageError
from tutelage.models import create_model, keep_classes

PETS = ("cat", "dog", "fish")
IMAGENET: dict[str, Any] = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


def save_wrapped(folder: Path, names: tuple[str, ...], **changes: Any) -> timm.models.ResNet:
    """Save a network of timm as transformers' wrapper does."""
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=len(names)).eval()
    config = {
        "architecture": "test_resnet",
        "architectures": ["TimmWrapperForImageClassification"],
        "label_names": list(names),
        "model_args": None,
        "model_type": "timm_wrapper",
        "num_classes": len(names),
        "pretrained_cfg": {"input_size": [3, 64, 64], "mean": [0.4] * 3, "std": [0.2] * 3, "crop_pct": 0.9},
        **changes,
    }
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    state = {f"timm_model.{name}": value.contiguous() for name, value in network.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    return network


def test_a_vision_transformer(tmp_path: Path) -> None:
    theirs = save_vit(tmp_path, PETS, side=32)
    model = create_model(str(tmp_path), num_classes=3)
    assert model.spec.name == "transformers/vit"
    assert model.spec.classes == PETS and model.spec.num_classes == 3
    assert (model.spec.mean, model.spec.std, model.spec.input_size) == ((0.5,) * 3, (0.5,) * 3, (32, 32))
    assert model.spec.resize == "squash"
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(model(images), theirs(images).logits, atol=1e-5)


def test_a_resnet_whose_classes_have_no_names(tmp_path: Path) -> None:
    theirs = save_resnet(tmp_path, 5, size={"shortest_edge": 56}, **IMAGENET)
    model = create_model(str(tmp_path))
    assert (model.spec.name, model.spec.num_classes, model.spec.classes) == ("transformers/resnet", 5, None)
    assert model.spec.mean == tuple(IMAGENET["image_mean"]) and model.spec.std == tuple(IMAGENET["image_std"])
    assert (model.spec.input_size, model.spec.crop, model.spec.resize) == ((56, 56), 0.875, "crop")
    images = torch.randn(2, 3, 56, 56)
    with torch.no_grad():
        assert torch.allclose(model(images), theirs(images).logits, atol=1e-5)


@pytest.mark.parametrize("kind", [save_vit, save_resnet])
@pytest.mark.chaos
def test_its_classes_can_be_chosen_and_put_in_another_order(tmp_path: Path, kind: Any) -> None:
    kind(tmp_path, PETS)
    model, images = create_model(str(tmp_path)), torch.randn(2, 3, *create_model(str(tmp_path)).spec.input_size)
    with torch.no_grad():
        expected = model(images)[:, [2, 0]]
        keep_classes(model, [2, 0], ["fish", "cat"])
        assert torch.allclose(model(images), expected, atol=1e-6)


def test_without_a_preprocessor_the_size_is_that_of_the_network(tmp_path: Path) -> None:
    save_vit(tmp_path, PETS, side=24)
    (tmp_path / "preprocessor_config.json").unlink()
    spec = create_model(str(tmp_path)).spec
    assert (spec.input_size, spec.mean, spec.std) == ((24, 24), None, None)


def test_entries_of_other_parts_are_ignored_with_a_note(tmp_path: Path) -> None:
    save_vit(tmp_path, PETS)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
    (note,) = create_model(str(tmp_path)).spec.notes
    assert "ignored 16 entries" in note and "vit.layers.3" in note


PROCESSORS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "LeViT enlarges what it crops": ("LevitImageProcessor", {}, {"crop": 0.875, "resize": "crop"}),
    "ConvNeXT distorts large images": (
        "ConvNextImageProcessor", {"size": {"shortest_edge": 384}}, {"input_size": (384, 384), "resize": "squash"}
    ),
    "EfficientNet normalizes twice": (
        "EfficientNetImageProcessor",
        {"rescale_factor": 1 / 127.5, "rescale_offset": True, **IMAGENET, "include_top": True},
        {"mean": (0.7425, 0.728, 0.703), "std": (0.02622, 0.025088, 0.025313)},
    ),
    "CLIP crops": ("CLIPImageProcessor", {}, {"input_size": (224, 224), "crop": 1.0, "resize": "crop"}),
    "nothing but rescaling": ("ViTImageProcessor", {"do_normalize": False}, {"mean": (0.0,) * 3, "std": (1.0,) * 3}),
    "the size as one number": ("ViTImageProcessor", {"size": 48}, {"input_size": (48, 48)}),
    "height and width": ("ViTImageProcessor", {"size": {"height": 32, "width": 48}}, {"input_size": (32, 48)}),
}  # fmt: skip


@pytest.mark.parametrize("name", PROCESSORS)
def test_what_a_processor_does_is_measured(tmp_path: Path, name: str) -> None:
    transformers = pytest.importorskip("transformers")
    from tutelage.models.libraries.image_processor import measure_preprocessing

    kind, settings, expected = PROCESSORS[name]
    getattr(transformers, kind)(**settings).save_pretrained(tmp_path)
    found = measure_preprocessing(tmp_path)
    for key, value in expected.items():
        assert found[key] == (value if key == "resize" else pytest.approx(value, abs=2e-6))


# The wrapper of timm


def test_the_wrapper_of_timm(tmp_path: Path) -> None:
    theirs = save_wrapped(tmp_path / "wrapped", PETS)
    model = create_model(str(tmp_path / "wrapped"))
    assert (model.spec.name, model.spec.classes) == ("timm/test_resnet", PETS)
    assert (model.spec.input_size, model.spec.mean, model.spec.crop) == ((64, 64), (0.4,) * 3, 0.9)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model.eval()(images), theirs(images))


def test_the_wrapper_that_transformers_writes(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.TimmWrapperConfig(architecture="test_resnet", num_labels=3)
    transformers.TimmWrapperForImageClassification(config).save_pretrained(tmp_path)
    spec = create_model(str(tmp_path)).spec
    assert (spec.name, spec.num_classes, spec.classes, spec.mean) == ("timm/test_resnet", 3, None, None)


@pytest.mark.chaos
def test_without_transformers_the_wrapper_loads_and_others_say_what_to_install(tmp_path: Path) -> None:
    save_wrapped(tmp_path / "wrapped", PETS)
    (tmp_path / "vit").mkdir()
    (tmp_path / "vit" / "config.json").write_text('{"model_type": "vit"}')
    code = (
        "import sys; sys.modules['transformers'] = None\n"
        "from tutelage import create_model\n"
        "print(create_model('wrapped').spec.num_classes)\n"
        "create_model('vit')"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert found.stdout.split()[-1] == "3"
    assert "TutelageError: 'vit' was saved by transformers" in found.stderr
    assert "pip install 'tutelage[transformers]'" in found.stderr


def test_wrapped_names_must_be_as_many_as_the_classes(tmp_path: Path) -> None:
    save_wrapped(tmp_path / "wrapped", PETS, label_names=["cat", "dog"])
    with pytest.raises(TutelageError, match=r"wrapped/config\.json'.*it names 2 classes, but num_classes is 3"):
        create_model(str(tmp_path / "wrapped"))
