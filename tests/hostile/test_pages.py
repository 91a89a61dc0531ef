"""The report and the model card of a run whose classes, files and folders have the worst of names."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt
from typer.testing import CliRunner

import tutelage
from hostile.names import SHOWN
from hostile.pictures import picture
from tutelage.cli import app
from tutelage.export import export_student
from tutelage.report import write_report
from tutelage.students import predict

DATA = "da'ta <b>$(x)"
pytestmark = pytest.mark.filterwarnings("ignore:the teacher reaches")


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a class for each name, a run on it, its export, and its report."""
    home = tmp_path_factory.mktemp("home")
    for number, name in enumerate(SHOWN.values()):
        (home / DATA / name).mkdir(parents=True)
        for turn in range(4):
            image = picture().rotate(10 * number + 3 * turn)
            image.save(home / DATA / name / f"{turn}{name[:150]}.png", "PNG")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUTELAGE_CACHE", str(home / "cache"))
        patch.chdir(home)
        options: dict[str, Any] = {
            "epochs": 1,
            "precision": "fp32",
            "compile": "off",
            "device": "cpu",
            "batch_size": 16,
        }
        data = {"name": str(home / DATA), "validation": 0.25}
        tutelage.train(data=data, model="resnet8", out=home / "it's <i>", **options)
        # Beside a teacher the report has a table of all classes.
        tutelage.distill(data=data, teacher=home / "it's <i>", student="resnet8", out=home / "run <i>", **options)
        export_student(home / "run <i>", format=["safetensors"], out=home / "export")
        write_report(home / "run <i>", out=home / "page.html")
        yield home


def is_plain(page: Page) -> None:
    """Nothing of a name has become a part of the page."""
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        assert not any((value or "").lower().startswith("javascript:") for value in attributes.values()), attributes
    assert not {"b", "i", "iframe", "object"} & {tag for tag, _ in page.tags}


def test_the_report_shows_every_name_and_runs_none(home: Path) -> None:
    page = Page((home / "page.html").read_text("utf-8"))
    is_plain(page)
    assert [tag for tag, _ in page.tags].count("script") == 1, "its own"
    assert all(attributes["src"].startswith("data:") for tag, attributes in page.tags if tag == "img")  # type: ignore[union-attr]
    assert all((attributes.get("href") or "#").startswith("#") for tag, attributes in page.tags if tag == "a")
    missing = [name for name in SHOWN.values() if " ".join(name.split()) not in page.text]
    assert not missing, missing
    assert DATA in page.text and not (home / "hacked").exists()


def test_the_card_shows_every_name_and_runs_none(home: Path) -> None:
    _, front, body = (home / "export" / "README.md").read_text("utf-8").split("---\n", 2)
    assert yaml.safe_load(front)["library_name"] == "tutelage"
    page = Page(MarkdownIt("commonmark").enable("table").render(body))
    is_plain(page)
    assert not {"script", "img", "em"} & {tag for tag, _ in page.tags}
    links = [attributes["href"] or "" for tag, attributes in page.tags if tag == "a"]
    assert all(link.startswith(("https://", "#")) for link in links), links
    cells = set(re.findall(r"<td[^>]*>(.*?)</td>", MarkdownIt("commonmark").enable("table").render(body), re.DOTALL))
    shown = {" ".join(html.unescape(re.sub("<[^>]+>", "", cell)).split()) for cell in cells}
    missing = [name for name in SHOWN.values() if " ".join(name.split()) not in shown]
    assert not missing, missing


def test_predictions_name_classes_and_files_as_they_are(home: Path) -> None:
    photo = sorted((home / DATA).rglob("*.png"))[7]
    (prediction,) = predict(home / "export", [photo], top=len(SHOWN))
    assert {name for name, _ in prediction.classes} == set(SHOWN.values())
    shown = CliRunner().invoke(app, ["predict", str(home / "export"), str(photo), f"top={len(SHOWN)}"])
    assert shown.exit_code == 0 and all(name in shown.output for name in SHOWN.values() if name.isprintable())
