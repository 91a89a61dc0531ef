"""Images that are not square: their shape is kept from the folder to the exported model's card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from harness.runs import SMALL
from tutelage import TutelageError, distill, evaluate, train
from tutelage.data import DataSettings, open_data
from tutelage.export import export_student
from tutelage.students import compare, predict

SIZES = [(300, 100), (280, 110), (290, 90)]


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wide images whose class shows at their ends alone, which a centre crop hides."""
    folder = tmp_path_factory.mktemp("wide")
    for split, count in (("train", 12), ("val", 4)):
        for name, color in (("dark", 40), ("light", 210)):
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                image = Image.new("RGB", SIZES[number % 3], (128, 128, 128 + number))
                draw = ImageDraw.Draw(image)
                draw.rectangle((0, 0, 60, 120), fill=(color, color, color))
                draw.rectangle((image.width - 60, 0, image.width, 120), fill=(color, color, color))
                image.save(folder / split / name / f"{number}.jpg", quality=95)
    return folder


def run(wide: Path, **data: Any) -> dict[str, Any]:
    return {**SMALL, "data": {"name": str(wide), "workers": 0, "scale": [0.9, 1.0], **data}, "batch_size": 12}


@pytest.mark.parametrize(
    ("mode", "size", "code"),
    [
        ("pad", (32, 32), "ImageOps.pad("),
        ("squash", (20, 48), "photo.resize((48, 20)"),
    ],
)
@pytest.mark.chaos
def test_the_shape_is_kept(mode: str, size: tuple[int, int], code: str, wide: Path, tmp_path: Path) -> None:
    settings = run(wide, size=list(size), resize=mode)
    trained = train(**settings, model="resnet8", epochs=20, out=tmp_path / "teacher")
    assert trained.top1 == 100.0  # only the ends tell the classes apart
    teacher = str(tmp_path / "teacher")
    distill(**settings, teacher=teacher, student="resnet8", method="at", epochs=1, out=tmp_path / "student")
    config = json.loads((tmp_path / "teacher" / "student" / "config.json").read_text())["pretrained_cfg"]
    assert config["input_size"] == [3, *size]
    assert config["crop_mode"] == {"pad": "border", "squash": "squash"}[mode] and config["crop_pct"] == 1.0
    # A folder of the model alone, without the run, knows as much.
    export_student(tmp_path / "teacher", format="safetensors")
    exported = tmp_path / "teacher" / "export"
    assert code in (exported / "README.md").read_text()
    for model in (teacher, str(exported / "model.safetensors")):
        images = [wide / "val" / "light" / "0.jpg", wide / "val" / "dark" / "1.jpg"]
        assert [seen.classes[0][0] for seen in predict(model, images)] == ["light", "dark"]
    assert evaluate(model=teacher)["top1"] == 100.0
    assert compare([teacher, tmp_path / "student"]).rows[0].top1 == 100.0


def test_a_crop_that_hides_most_of_the_images_is_reported(wide: Path) -> None:
    with pytest.warns(UserWarning, match=r"the center crop hides 6\d% of most .* data.size=\[HEIGHT,WIDTH\]"):
        open_data(DataSettings(name=str(wide), size=32))


@pytest.mark.parametrize("data", [{"size": [32, 96]}, {"size": 32, "resize": "squash"}, {"size": 32, "resize": "pad"}])
@pytest.mark.filterwarnings("error:the center crop")
def test_nothing_is_reported_where_all_is_shown(data: dict[str, Any], wide: Path) -> None:
    assert open_data(DataSettings(name=str(wide), **data)).resize == data.get("resize", "crop")


def test_stored_targets_are_of_one_shape(wide: Path) -> None:
    shapes = [{"size": [32, 96]}, {"size": 32, "resize": "squash"}, {"size": 32, "resize": "pad"}]
    assert len({open_data(DataSettings(name=str(wide), **data)).fingerprint for data in shapes}) == 3


def test_a_transformer_takes_a_rectangle_where_it_is_told(wide: Path, tmp_path: Path) -> None:
    settings = run(wide, size=[32, 64])
    with pytest.raises(TutelageError):
        train(**settings, model="timm/vit_tiny_patch16_224", epochs=1, out=tmp_path / "run")
    model = {"name": "timm/test_vit", "input_size": [32, 64]}
    assert train(**settings, model=model, epochs=1, out=tmp_path / "run").status == "finished"


@pytest.mark.parametrize("size", [[32], [32, 0], [32, 32, 3], "wide"])
def test_what_is_no_size_is_refused(size: Any, wide: Path) -> None:
    with pytest.raises(TutelageError, match=r"data\.size"):
        train(**{**SMALL, "data": {"name": str(wide), "size": size}}, model="resnet8", epochs=1)
