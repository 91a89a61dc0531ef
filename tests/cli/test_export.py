"""``export``, ``predict`` and ``compare`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tutelage
from tutelage.cli import app
from tutelage.data import load_digits
from tutelage.errors import TutelageError


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUTELAGE_CACHE", str(folder / "cache"))
        tutelage.train(
            data={"name": "digits", "fraction": 0.1}, model="resnet8", out=folder / "run", epochs=1, device="cpu"
        )
    return folder / "run"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    from PIL import Image

    path = tmp_path / "a [bold] three=3.png"
    Image.fromarray((load_digits()[0][3] * 15.9).astype("uint8")).resize((40, 60)).save(path)
    return path


def good(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def test_export_prints_the_figures_it_keeps(run: Path, tmp_path: Path) -> None:
    shown = good("export", run, "format=safetensors,torch_export", "images=50", f"out={tmp_path / 'out'}")
    record = json.loads((tmp_path / "out" / "export.json").read_text())
    for file in record["files"]:
        (line,) = [line for line in shown.splitlines() if line.startswith(file["file"] + " ")]
        assert f"{file['top1']:.2f} %" in line and f"{file['largest_difference']:.1e}" in line
    assert "50 images of test" in " ".join(shown.split())


def test_predict_prints_a_block_an_image(run: Path, image: Path) -> None:
    lines = good("predict", run, image, image, "top=2").splitlines()
    assert [line for line in lines if not line.startswith(" ")] == [str(image)] * 2
    assert len(lines) == 6
    first, second = (float(line.split()[0]) for line in lines[1:3])
    assert first >= second > 0


def test_json_is_all_that_predict_and_compare_print(run: Path, image: Path, tmp_path: Path) -> None:
    (found,) = json.loads(good("predict", run, image, "--json"))
    assert found["image"] == str(image)
    assert len(found["classes"]) == 5
    assert found["classes"][0]["probability"] >= found["classes"][1]["probability"]
    compared = json.loads(good("compare", run, "--json", f"out={tmp_path / 'out.json'}"))
    assert compared == json.loads((tmp_path / "out.json").read_text())
    assert [row["parameters"] for row in compared["rows"]] == [78_042]


def test_json_goes_to_a_file_beside_the_text(run: Path, image: Path, tmp_path: Path) -> None:
    file = tmp_path / "new" / "found.json"
    shown = good("predict", run, image, "--json", file, "top=2")
    (found,) = json.loads(file.read_text(encoding="utf-8"))
    best = found["classes"][0]
    assert f"{100 * best['probability']:.2f} %  {best['class']}" in shown


def test_compare_prints_a_row_a_model(run: Path) -> None:
    shown = good("compare", run)
    assert "78,042" in shown and "359 images of test of digits" in shown


def test_mistakes(run: Path, image: Path) -> None:
    for words, part in (
        (["predict", run, "top=3"], "IMAGE is missing; usage: tutelage predict RUN IMAGE..."),
        (["predict", run, image, "top=0"], "top=0"),
        (["export", run, "fromat=onnx"], "did you mean format?"),
        (["compare", run, "nowhere"], "nowhere does not exist"),
        (["compare", run, "data=digit"], "did you mean digits?"),
    ):
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert isinstance(result.exception, TutelageError) and part in str(result.exception), (words, result.exception)
        assert not result.stdout
