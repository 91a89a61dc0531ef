"""Predictions see what evaluation sees."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tutelage import evaluate
from tutelage.data import DataSettings, EvalLoader, load_digits, open_data
from tutelage.data.stored.crops import Framing
from tutelage.data.stored.decode import decode
from tutelage.errors import TutelageError
from tutelage.students import compare, predict
from tutelage.students.classifier import Classifier, open_classifier


def test_an_image_from_its_file_is_that_of_evaluation(run: Path, digits_folder: Path) -> None:
    classifier = open_classifier(run)
    data = open_data(DataSettings(name=str(digits_folder), validation=0.25))
    batch = next(iter(EvalLoader(data.validation, 100)))
    files = [Path(place) for place in data.held_out]
    views = torch.stack([classifier.view(decode(file.read_bytes())) for file in files])
    assert torch.equal(views, batch.images)
    likeliest = classifier.predict(batch.images).softmax(1).max(1)
    found = list(predict(run, files, top=2))
    assert [prediction.image for prediction in found] == files
    assert [prediction.classes[0][0] for prediction in found] == [data.classes[place] for place in likeliest.indices]
    assert [prediction.classes[0][1] for prediction in found] == pytest.approx(likeliest.values.tolist(), abs=1e-4)


def test_a_large_image_is_cropped_as_in_evaluation(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for place, grey in enumerate(load_digits()[0][:4]):
            image = Image.fromarray((grey * 15.9).astype(np.uint8)).resize((90 + place, 70 + 9 * place))
            image.convert("RGB").save(tmp_path / name / f"{place}.jpg")
    data = open_data(DataSettings(name=str(tmp_path), size=32, validation=0.5, workers=0))
    framing = Framing(data.size)
    classifier = Classifier(tmp_path, "", ("a", "b"), data.size, framing, torch.nn.Identity(), False, 0, 0, 0)
    views = [classifier.view(decode(Path(place).read_bytes())) for place in data.held_out]
    assert torch.equal(torch.stack(views), next(iter(EvalLoader(data.validation, 100))).images)
    assert data.crop == 0.875


def test_any_kind_of_image_and_model_file(run: Path, exported: Path, tmp_path: Path) -> None:
    grey = Image.fromarray((load_digits()[0][0] * 15.9).astype(np.uint8)).resize((50, 31))
    for name, mode in (("a.png", "P"), ("b.webp", "RGB"), ("c.gif", "L"), ("d.tiff", "I;16"), ("e.jpg", "CMYK")):
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
        image.save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not an image")
    for model in (run, run / "student", exported / "model.onnx", exported / "model.safetensors"):
        found = list(predict(model, [tmp_path], top=9))
        assert [prediction.image.name for prediction in found] == ["a.png", "b.webp", "c.gif", "d.tiff", "e.jpg"]
        for prediction in found:
            shares = [share for _, share in prediction.classes]
            assert len(shares) == 3 and sum(shares) == pytest.approx(1) and shares == sorted(shares, reverse=True)


def test_mistakes_name_the_file(run: Path, tmp_path: Path) -> None:
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    with pytest.raises(TutelageError, match="torn.jpg is not a readable image"):
        list(predict(run, [tmp_path]))
    with pytest.raises(TutelageError, match="gone.jpg: there is no such image"):
        predict(run, ["gone.jpg"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(TutelageError, match="empty contains no images"):
        predict(run, [tmp_path / "empty"])
    with pytest.raises(TutelageError, match="has no export.json"):
        predict(tmp_path / "torn.jpg", ["gone.jpg"])


@pytest.mark.chaos
def test_models_side_by_side(run: Path, exported: Path, tmp_path: Path) -> None:
    models = [run, exported / "model.onnx", exported / "model-int8.onnx"]
    found = compare(models, out=tmp_path / "figures.json")
    assert (tmp_path / "figures.json").read_text(encoding="utf-8") == found.model_dump_json(indent=2) + "\n"
    assert [row.model for row in found.rows] == ["resnet8", "resnet8, onnx", "resnet8, int8"]
    assert [row.path for row in found.rows] == [str(model) for model in models]
    plain, onnx, int8 = found.rows
    assert plain.top1 == onnx.top1
    assert (plain.parameters, plain.macs) == (int8.parameters, int8.macs)
    assert int8.megabytes < plain.megabytes
    assert all(row.images_per_second > 0 and row.milliseconds_32 > row.milliseconds_1 > 0 for row in found.rows)
    assert (found.data, found.split) == ("my data", "validation")
    with pytest.raises(TutelageError, match="figures.json exists"):
        compare(models, out=tmp_path / "figures.json")
    with pytest.raises(TutelageError, match="do not have the same classes: class '0' is not among the model's 3"):
        compare([run / "student"], data="digits")
    assert compare([run / "student"]).rows[0].top1 is None


@pytest.mark.filterwarnings("ignore:.*is read from the folder of this name")
def test_a_run_with_the_name_of_a_network_is_meant_by_every_verb(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(run, "resnet8")
    wanted = evaluate(model=str(run), device="cpu")
    assert evaluate(model="resnet8", device="cpu") == wanted
    assert compare(["resnet8"]).rows[0].top1 == pytest.approx(wanted["top1"])
    (tmp_path / "resnet8" / "result.json").unlink()
    for verb in (lambda: evaluate(model="resnet8"), lambda: compare(["resnet8"])):
        with pytest.raises(TutelageError, match="resnet8 is not finished; continue it with 'tutelage resume resnet8'"):
            verb()
    (tmp_path / "timm" / "resnet18").mkdir(parents=True)
    with pytest.raises(TutelageError, match="timm/resnet18 holds no model; pass a run folder"):
        compare(["timm/resnet18"])
