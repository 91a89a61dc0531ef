"""Model folders: what is saved comes back exactly, and other tools can read it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from timm.models import save_for_hf
from torch import nn

from tutelage.errors import TutelageError
from tutelage.models import create_model, save_model, weights_hash

NAMES = (
    "resnet20_a",
    "wrn_10_3",
    "timm/test_resnet",
    "timm/test_vit",
    "timm/resnet10t.c3_in1k",
    "torchvision/mobilenet_v3_small",
    "torchvision/mnasnet0_5",
)
FLOWERS = ("daisy", "rose", "tulip", "fleur-de-lis é")


def disturb(model: nn.Module) -> nn.Module:
    """Moves every parameter and buffer a little off its initial value."""
    for value in model.state_dict().values():
        value.add_(0.01 * torch.rand_like(value) if value.is_floating_point() else 3)
    return model


def logits(model: nn.Module, size: tuple[int, int]) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0)))


def trained_student(name: str) -> nn.Module:
    model = disturb(create_model(name, num_classes=len(FLOWERS)))
    size = model.spec.input_size or (32, 32)
    model.spec = replace(model.spec, classes=FLOWERS, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), input_size=size)
    return model


@pytest.mark.parametrize("name", NAMES)
def test_round_trip(tmp_path: Path, name: str) -> None:
    student = trained_student(name)
    expected = logits(student, student.spec.input_size)
    assert expected.isfinite().all()
    save_model(student.to(memory_format=torch.channels_last), tmp_path / "run" / "student", student.spec)
    for folder in (tmp_path / "run", tmp_path / "run" / "student"):
        again = create_model(str(folder))
        assert weights_hash(again) == weights_hash(student)
        assert torch.equal(logits(again, student.spec.input_size), expected)
        assert again.spec == replace(student.spec, source=str(tmp_path / "run" / "student"))
    assert sorted(path.name for path in (tmp_path / "run" / "student").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_saving_what_was_loaded_changes_nothing(tmp_path: Path, name: str) -> None:
    student = trained_student(name)
    save_model(student, tmp_path / "a", student.spec)
    again = create_model(str(tmp_path / "a"))
    save_model(again, tmp_path / "b", again.spec)
    for file in ("config.json", "model.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_unknown_preprocessing_stays_unknown(tmp_path: Path) -> None:
    model = create_model("resnet8", 3)
    save_model(model, tmp_path, model.spec)
    assert create_model(str(tmp_path)).spec == replace(model.spec, source=str(tmp_path))


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("timm/")])
def test_timm_reads_the_folder_of_a_timm_student(tmp_path: Path, name: str) -> None:
    student = trained_student(name)
    save_model(student, tmp_path, student.spec)
    theirs = timm.create_model(f"local-dir:{tmp_path}", pretrained=True)
    size = student.spec.input_size
    assert torch.equal(logits(theirs, size), logits(student, size))
    preprocessing = timm.data.resolve_model_data_config(theirs)
    assert tuple(preprocessing["mean"]) == student.spec.mean
    assert tuple(preprocessing["std"]) == student.spec.std
    assert tuple(preprocessing["input_size"]) == (3, *size)
    assert tuple(theirs.pretrained_cfg["label_names"]) == FLOWERS


def test_a_folder_that_timm_wrote(tmp_path: Path) -> None:
    theirs = disturb(timm.create_model("test_resnet", num_classes=4))
    labels = {"label_names": list(FLOWERS)}
    save_for_hf(theirs, str(tmp_path), model_config=labels, safe_serialization=True)
    model = create_model(str(tmp_path), num_classes=4)
    assert torch.equal(logits(model, (64, 64)), logits(theirs, (64, 64)))
    assert model.spec.name == "timm/test_resnet"
    assert model.spec.classes == FLOWERS
    assert (model.spec.mean, model.spec.input_size) == ((0.5, 0.5, 0.5), (160, 160))


def test_overwriting_replaces_the_files(tmp_path: Path) -> None:
    for name in ("resnet8", "resnet14"):
        model = create_model(name, 3)
        save_model(model, tmp_path, model.spec)
        (tmp_path / "README.md").write_text("kept")
    assert weights_hash(create_model(str(tmp_path))) == weights_hash(model)
    assert (tmp_path / "README.md").read_text() == "kept"


def test_another_class_count_is_an_error_naming_both(tmp_path: Path) -> None:
    model = create_model("resnet8", 4)
    save_model(model, tmp_path, model.spec)
    with pytest.raises(TutelageError, match=r"saved with 4 classes, not 7"):
        create_model(str(tmp_path), num_classes=7)
    assert create_model(str(tmp_path), num_classes=4).spec.num_classes == 4


def test_damaged_folders(tmp_path: Path) -> None:
    model = create_model("resnet8", 4)
    save_model(model, tmp_path, model.spec)
    config = json.loads((tmp_path / "config.json").read_text())

    (tmp_path / "config.json").write_text(json.dumps({**config, "tutelage": {"name": "resnet9"}}))
    with pytest.raises(TutelageError, match="'resnet9'.*resnet8"):
        create_model(str(tmp_path))
    for content in ("{", "[]", '{"model_type": "timm_wrapper"}', '{"architecture": "test_resnet"}'):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(TutelageError, match=r"config\.json.*config of a saved model"):
            create_model(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(TutelageError, match=r"model\.safetensors.*no such file"):
        create_model(str(tmp_path))
