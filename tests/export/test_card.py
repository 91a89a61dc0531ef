"""The model card: read back as metadata, as HTML, and as programs."""

from __future__ import annotations

import html
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
from PIL import ExifTags, Image

from tutelage.config import DistillSettings, load
from tutelage.data.stored.decode import decode
from tutelage.export.card.card import plain
from tutelage.export.card.history import read_history
from tutelage.export.card.licence import licence
from tutelage.students import predict
from tutelage.students.classifier import open_classifier
from tutelage.training import load_run


@pytest.fixture(scope="module")
def page(exported: Path) -> str:
    """The card as a browser gets it."""
    text = (exported / "README.md").read_text(encoding="utf-8")
    return MarkdownIt("commonmark").enable("table").render(text.split("---\n", 2)[2])


def test_the_hub_reads_the_metadata(run: Path, exported: Path) -> None:
    card = ModelCard.load(exported / "README.md")
    data = card.data.to_dict()
    assert data["library_name"] == "tutelage"
    assert "knowledge-distillation" in data["tags"]
    (figure,) = card.data.eval_results
    result = read_history(run).result
    assert (figure.dataset_name, figure.dataset_split) == ("my data", "validation")
    assert figure.metric_value == round(result.top1, 2)


def test_names_are_shown_as_they_are(page: str) -> None:
    cells = [html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", page)]
    assert {"<img src=x onerror=alert(1)>", "a|b `c`: # d", "two_*three*"} <= set(cells)
    assert "<img" not in page and "<em>three" not in page


@pytest.mark.parametrize("name", ["# a", "a\n\n# b", "[x](javascript:alert(1))", "<b>x</b>", "a \\| b", "$x$", "&lt;"])
def test_no_name_is_read_as_markdown(name: str) -> None:
    shown = MarkdownIt("commonmark").enable("table").render(f"| | |\n|---|---|\n| {plain(name)} | 1 |\n")
    (cell, _) = re.findall(r"<td>(.*?)</td>", shown)
    assert html.unescape(cell) == " ".join(name.split())
    assert not re.search(r"<[a-z/]", cell)


def test_it_holds_method_figures_and_a_command_that_gives_the_run_again(run: Path, page: str) -> None:
    history = read_history(run)
    text = html.unescape(re.sub("<[^>]+>", " ", page))
    for part in ("kd", f"{history.result.top1:.2f} %", f"{history.result.teacher_top1:.2f} %", "last epoch", "resnet8"):
        assert part in text
    (command,) = re.findall(r'<code class="language-sh">(.*?)</code>', page, re.DOTALL)
    program, verb, *words = shlex.split(html.unescape(command))
    assert (program, verb) == ("tutelage", "distill")
    assert load(DistillSettings, *words) == load_run(run)


def test_its_programs_run_and_say_what_predict_says(
    run: Path, exported: Path, digits_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], page: str,
) -> None:  # fmt: skip
    folder = shutil.copytree(exported, tmp_path / "export")
    photo = sorted(digits_folder.rglob("*.png"))[5]
    shutil.copy(photo, folder / "photo.jpg")
    monkeypatch.chdir(folder)
    programs = [
        html.unescape(code) for code in re.findall(r'<code class="language-python">(.*?)</code>', page, re.DOTALL)
    ]
    assert len(programs) == 5
    names: dict[str, object] = {}
    for program in programs:
        exec(program, names)
    (prediction,) = predict(run, [photo])
    assert capsys.readouterr().out.splitlines() == [prediction.classes[0][0]] * 4


def test_its_program_turns_and_composites_a_photo_as_predict_does(
    run: Path, exported: Path, digits_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    shutil.copy(exported / "classes.json", tmp_path)
    with Image.open(sorted(digits_folder.rglob("*.png"))[5]) as digit:
        photo = digit.convert("RGBA")
    photo.putpixel((3, 2), (0, 0, 0, 0))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # a quarter turn
    photo.save(tmp_path / "photo.jpg", format="PNG", exif=exif)
    monkeypatch.chdir(tmp_path)
    program = re.findall(r'<code class="language-python">(.*?)</code>', page, re.DOTALL)[0]
    names: dict[str, Any] = {}
    exec(html.unescape(program), names)
    expected = open_classifier(run).view(decode((tmp_path / "photo.jpg").read_bytes()))
    assert np.array_equal(names["images"][0], expected.numpy())


def test_licences_follow_runs_to_their_first_weights(run: Path, tmp_path: Path) -> None:
    assert licence("timm/resnet18.a1_in1k", "pretrained") == "apache-2.0"
    assert licence("timm/resnet18", None) == "none: random weights"
    assert licence("torchvision/resnet18", "IMAGENET1K_V1") == "unknown"
    assert licence("hf-hub:someone/something", None) == "unknown"
    assert licence("resnet8", str(run / "student")) == "none: random weights"
    for name in ("second", "first"):
        (tmp_path / name).mkdir()
    (tmp_path / "first" / "config.yaml").write_text("model: {name: timm/resnet18.a1_in1k, weights: pretrained}\n")
    (tmp_path / "second" / "config.yaml").write_text(f"student: {{name: {tmp_path / 'first'}, weights: null}}\n")
    assert licence("timm/resnet18", str(tmp_path / "second" / "student")) == "unknown", "there is no such folder"
    (tmp_path / "second" / "student").mkdir()
    assert licence("timm/resnet18", str(tmp_path / "second" / "student")) == "apache-2.0"
    assert [of for of, _ in read_history(run).licences] == ["resnet8, before training", "teacher resnet8"]
