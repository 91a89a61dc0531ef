"""From a run to an export folder: checked, described, never half-written."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch

import tutelage
from tutelage.errors import TutelageError
from tutelage.export import export_student
from tutelage.export.formats.register import FORMATS
from tutelage.export.record import Record
from tutelage.models import create_model, save_model
from tutelage.runs import load_student
from tutelage.runs.student import Predict


def test_every_file_is_measured_beside_pytorch(run: Path, exported: Path) -> None:
    record = Record.read(exported)
    files = {file.format: file for file in record.files}
    assert list(files) == ["safetensors", "onnx", "int8", "torch_export"]
    evaluated = tutelage.evaluate(model=str(run), split="validation", device="cpu")
    assert (record.split, record.images) == ("validation", evaluated["count"])
    assert record.pytorch_top1 == pytest.approx(evaluated["top1"])
    for file in record.files:
        assert (exported / file.file).stat().st_size == file.bytes
        if file.format != "int8":
            assert file.largest_difference < 1e-3
            assert (file.top1, file.same_prediction) == (record.pytorch_top1, 100.0)
    assert files["int8"].bytes < 0.5 * files["onnx"].bytes
    assert files["int8"].largest_difference > 1e-3
    assert record.calibration == 20
    assert tuple(json.loads((exported / "classes.json").read_text())) == load_student(run).classes


def test_an_export_is_not_overwritten_and_nothing_else_is_replaced(run: Path, exported: Path) -> None:
    before = {path.name: path.read_bytes() for path in exported.iterdir()}
    with pytest.raises(TutelageError, match="export exists; set another out=… or overwrite=true"):
        export_student(run, format="onnx")
    with pytest.raises(TutelageError, match="is not an export; set another out"):
        export_student(run, format="onnx", out=run / "student", overwrite=True)
    assert {path.name: path.read_bytes() for path in exported.iterdir()} == before


def test_overwrite_replaces_an_export_whole(run: Path, exported: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(exported, tmp_path / "out"))
    record = export_student(run, out=out, overwrite=True, images=5)
    assert {path.name for path in out.iterdir()} == {
        *("model.safetensors", "config.json", "classes.json", "export.json", "README.md")
    }
    assert record.images == 5
    assert list(tmp_path.iterdir()) == [out]


def test_what_is_interrupted_leaves_nothing(
    run: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(path: Path) -> Predict:
        raise KeyboardInterrupt

    monkeypatch.setitem(FORMATS, "safetensors", replace(FORMATS["safetensors"], open=interrupt))
    out = Path(shutil.copytree(exported, tmp_path / "out"))
    with pytest.raises(KeyboardInterrupt):
        export_student(run, out=out, overwrite=True)
    assert list(tmp_path.iterdir()) == [out]
    assert (out / "model.onnx").read_bytes() == (exported / "model.onnx").read_bytes()


def test_mistakes_are_named_before_any_work(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = {"out": tmp_path / "out"}
    with pytest.raises(TutelageError, match="did you mean onnx"):
        export_student(run, format=["onx"], **out)
    with pytest.raises(TutelageError, match="set one or several"):
        export_student(run, format=[], **out)
    with pytest.raises(TutelageError, match="push=nobody"):
        export_student(run, push="nobody", **out)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(TutelageError, match=r"format=int8 needs the package onnx; run pip install 'tutelage\[export"):
        export_student(run, format=["safetensors", "int8"], **out)
    with pytest.raises(TutelageError, match="gone does not exist"):
        export_student(tmp_path / "gone", **out)
    unfinished = Path(shutil.copytree(run, tmp_path / "unfinished", ignore=shutil.ignore_patterns("result.json")))
    with pytest.raises(TutelageError, match="not finished; continue it with 'tutelage resume"):
        export_student(unfinished, **out)
    with pytest.raises(TutelageError, match="is not a run.*set data="):
        export_student(run / "student", **out)
    with pytest.raises(TutelageError, match="do not have the same classes: class .0. is not among the model.s 3"):
        export_student(run, data="digits", **out)
    assert not (tmp_path / "out").exists()


def test_timm_alone_loads_a_timm_student(digits_folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = create_model("timm/test_resnet", 3).eval()
    # As a run leaves it: its own preprocessing, not that of timm's weights.
    spec = network.spec.__class__(
        name="timm/test_resnet", num_classes=3, input_size=(64, 64), mean=(0.1,) * 3, std=(0.2,) * 3, crop=0.875
    )
    save_model(network, tmp_path / "model", spec)
    export_student(tmp_path / "model", data={"name": str(digits_folder), "size": 64}, out=tmp_path / "out")
    alone = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True).eval()
    images = torch.rand(4, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(alone(images), network(images))
        assert torch.equal(tutelage.create_model(str(tmp_path / "out")).eval()(images), network(images))
    preprocessing = timm.data.resolve_model_data_config(alone)
    assert [tuple(preprocessing[key]) for key in ("mean", "std", "input_size")] == [(0.1,) * 3, (0.2,) * 3, (3, 64, 64)]
    assert preprocessing["crop_pct"] == 0.875
    assert (preprocessing["interpolation"], preprocessing["crop_mode"]) == ("bilinear", "center")


def test_a_model_without_preprocessing_says_so(tmp_path: Path) -> None:
    network = create_model("resnet8", 3)
    save_model(network, tmp_path / "model", network.spec)
    with pytest.raises(
        TutelageError, match=r"config.json does not describe the model's input.*mean, std and input_size"
    ):
        load_student(tmp_path / "model")
