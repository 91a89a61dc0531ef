"""Teachers saved by transformers: read for logits and for features, live and cached, evaluated and used like others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from harness.runs import SMALL
from harness.transformers_folders import save_resnet, save_vit
from tutelage import Distiller, TutelageError, create_model, distill, evaluate, train
from tutelage.distillation import Teacher
from tutelage.export import export_student
from tutelage.students import compare, predict
from tutelage.taps import as_map

DIGITS = tuple("0123456789")
RUN: dict[str, Any] = {**SMALL, "student": "resnet8", "epochs": 1}
IMAGES = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 3])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("transformers")
    save_vit(folder / "vit", DIGITS)
    save_resnet(folder / "resnet", DIGITS, size={"shortest_edge": 64})
    return {name: folder / name for name in ("vit", "resnet")}


@pytest.mark.parametrize("method", ["kd", "at", "fitnets", "ofd", "nst", "feature_maps", "at_gradient", "kd+at"])
@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_every_method_reads_it(folders: dict[str, Path], kind: str, method: str) -> None:
    torch.manual_seed(1)
    distiller = Distiller(create_model("resnet8", 10), create_model(str(folders[kind])), method, input_size=16)
    out = distiller(IMAGES, LABELS)
    out.loss.backward()
    assert out.loss.isfinite()
    assert all(value > 0 for value in out.terms.values())
    gradients = [value.grad for value in distiller.student.parameters() if value.grad is not None]
    assert any(bool(gradient.any()) for gradient in gradients)


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_what_is_read_is_what_transformers_computes(folders: dict[str, Path], kind: str) -> None:
    network = create_model(str(folders[kind]))
    size = network.spec.input_size
    images = torch.randn(2, 3, *size).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        expected = network.model(pixel_values=images, output_hidden_states=True)
    teacher = Teacher(network.to(memory_format=torch.channels_last))
    tap = {"vit": "model.vit.layers.1", "resnet": "model.resnet.encoder.stages.1"}[kind]
    teacher.read([tap], logits=True)
    features = teacher.features(images)
    assert torch.allclose(features["logits"], expected.logits, atol=1e-5)
    assert torch.allclose(features[tap], as_map(expected.hidden_states[2]), atol=1e-5)


def losses(run: Path) -> list[float]:
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [line["train/loss"] for line in lines if "train/loss" in line]


@pytest.mark.chaos
def test_cached_targets_train_the_same_student(folders: dict[str, Path], tmp_path: Path) -> None:
    run = {**RUN, "teacher": str(folders["vit"]), "method": "kd+at", "epochs": 2}
    cache = {"views": 2, "folder": str(tmp_path / "cache"), "features": True}
    distill(**run, out=tmp_path / "live")
    distill(**run, cache=cache, out=tmp_path / "cached")
    live, cached = (losses(tmp_path / name) for name in ("live", "cached"))
    assert len(live) == 2 and cached == pytest.approx(live, rel=0.02)


def test_a_run_records_its_teacher(folders: dict[str, Path], tmp_path: Path) -> None:
    distill(**RUN, teacher=str(folders["resnet"]), method="kd", out=tmp_path / "run")
    record = json.loads((tmp_path / "run" / "teacher.json").read_text())
    assert record["name"] == "transformers/resnet" and record["source"] == str(folders["resnet"])
    assert record["num_classes"] == 10


def test_it_is_evaluated_compared_and_predicts(folders: dict[str, Path], tmp_path: Path) -> None:
    for folder in folders.values():
        found = evaluate(model=str(folder), data=SMALL["data"], device="cpu")
        assert found["count"] > 0 and 0 <= found["top1"] <= 100
    found = compare(list(folders.values()), data=SMALL["data"])
    assert [row.model for row in found.rows] == ["transformers/vit", "transformers/resnet"]


def test_it_predicts_what_transformers_predicts(folders: dict[str, Path], tmp_path: Path) -> None:
    import transformers

    photo = tmp_path / "photo.png"
    Image.linear_gradient("L").resize((60, 40)).convert("RGB").save(photo)
    for folder in folders.values():
        processor = transformers.AutoImageProcessor.from_pretrained(folder)
        model = transformers.AutoModelForImageClassification.from_pretrained(folder)
        with torch.no_grad():
            theirs = model(**processor(images=Image.open(photo), return_tensors="pt")).logits.softmax(1)[0]
        (ours,) = predict(folder, [photo], top=10)
        assert dict(ours.classes) == pytest.approx(dict(zip(DIGITS, theirs.tolist())), abs=0.03)


@pytest.mark.chaos
def test_it_is_exported_but_not_as_a_model_folder(folders: dict[str, Path], tmp_path: Path) -> None:
    data = {"name": "digits", "fraction": 0.1}
    record = export_student(folders["resnet"], data=data, format="torch_export", images=16, out=tmp_path / "export")
    assert record.files[0].same_prediction == 100
    with pytest.raises(TutelageError, match="saved by transformers"):
        export_student(folders["resnet"], data=data, format="safetensors", out=tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("verb", ["train", "distill", "finetune"])
def test_it_is_no_student(folders: dict[str, Path], tmp_path: Path, verb: str) -> None:
    folder, out = str(folders["vit"]), tmp_path / "run"
    with pytest.raises(TutelageError, match="saved by transformers.*can use it as a teacher, but"):
        if verb == "train":
            train(**SMALL, model=folder, epochs=1, out=out)
        elif verb == "distill":
            distill(**{**RUN, "student": folder}, teacher=str(folders["resnet"]), method="kd", out=out)
        else:
            distill(**RUN, teacher={"name": folder, "finetune": "head"}, method="kd", out=out)
    assert not out.exists()
