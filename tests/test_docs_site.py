"""The documentation builds without a warning, needs no network, and shows commands that exist."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tutelage
from tutelage.cli import VERBS, app
from tutelage.config import DistillSettings, TrainSettings, keys

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
SETTINGS = {"train": TrainSettings, "distill": DistillSettings, "cache": DistillSettings}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    folder = tmp_path_factory.mktemp("site")
    # Not --quiet, which silences the warnings before --strict counts them.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_built_and_nothing_comes_from_elsewhere(site: Path) -> None:
    built = {path.relative_to(site).with_suffix(".md") for path in site.rglob("*.html")}
    pages = {path.relative_to(ROOT / "docs") for path in PAGES if path.is_relative_to(ROOT / "docs")}
    assert {page if page.name != "README.md" else page.with_name("index.md") for page in pages} <= built
    loaded = re.compile(r"<(?:script|img|iframe)[^>]*\ssrc=\"?(https?:)?//|<link[^>]*stylesheet[^>]*(https?:)?//")
    for path in site.rglob("*.html"):
        assert not loaded.search(path.read_text(encoding="utf-8")), f"{path.name} needs the network"


def test_the_reference_is_that_of_the_docstrings(site: Path) -> None:
    reference = {path.stem: path.read_text(encoding="utf-8") for path in (site / "api").glob("*.html")}
    for name in set(tutelage.__all__) - {"losses"}:
        assert any(re.search(rf'id="tutelage\.[\w.]*\b{name}"', page) for page in reference.values()), name
    for name in tutelage.losses.__all__:
        assert f'id="tutelage.losses.{name}"' in reference["losses"], name
    assert not any(":class:" in page for page in reference.values())


def test_examples_are_shown_as_they_are(site: Path) -> None:
    text = re.sub(r"<[^>]+>", "", (site / "own-loop.html").read_text(encoding="utf-8"))
    for path in (ROOT / "examples").glob("*.py"):
        first = path.read_text(encoding="utf-8").splitlines()[0].strip('"')
        shown = path.stem not in ("digits", "losses_only", "two_stages")
        assert (first in text) == shown, path.name
    assert "--8&lt;--" not in text


def test_relative_links_lead_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            assert "://" in link or (page.parent / link).exists(), f"{page.name}: {link}"


def commands(page: Path) -> Iterator[list[str]]:
    """Yields the words of every command in the code blocks of a page."""
    blocks = re.findall(r"^ *```(?:sh|bash)?\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
        if line.strip().startswith(("tutelage ", "make ")):
            yield shlex.split(line, comments=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_exists(page: Path) -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for program, verb, *words in commands(page):
        assert verb in (VERBS if program == "tutelage" else targets), f"{program} {verb}"
        known = {key.name for key in keys(SETTINGS[verb])} if verb in SETTINGS else None
        for key, equals, _ in (word.partition("=") for word in words):
            assert not equals or known is None or key in known, f"{verb} {key}="
        if verb == "run":
            assert words[0] in tutelage.list_recipes(), words[0]
    inline = re.findall(r"`tutelage ([a-z]+)[ `]", page.read_text(encoding="utf-8"))
    assert VERBS.keys() >= set(inline), set(inline) - VERBS.keys()


@pytest.fixture(scope="module")
def where_a_teacher_is(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder after the first command of methods.md, which trains the teacher of the commands on all other pages."""
    folder = tmp_path_factory.mktemp("pages")
    first = next(words for words in commands(ROOT / "docs" / "methods.md") if words[1] == "train")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert CliRunner().invoke(app, first[1:]).exit_code == 0
    return folder


@pytest.mark.chaos
@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "methods").glob("*.md")), ids=lambda page: page.stem)
def test_the_commands_of_a_method_run(page: Path, where_a_teacher_is: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(where_a_teacher_is)
    shown = list(commands(page))
    assert shown
    for _, *words in shown:
        done = CliRunner().invoke(app, [*words, "overwrite=true", "compile=off"])
        assert done.exit_code == 0, f"{words}\n{done.output}\n{done.exception}"
