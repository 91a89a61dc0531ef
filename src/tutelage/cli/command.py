"""Build the command of a verb: parse its arguments, print its output, and write ``--json``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from pydantic_core import to_json
from rich.console import RenderableType
from rich.text import Text
from typer.core import TyperCommand

from tutelage.cli.verbs import VERBS, Verb
from tutelage.config import sort_words
from tutelage.console import build_console, is_main_process
from tutelage.errors import TutelageError, shortened
from tutelage.paths import expand

STDOUT = "-"
"""The value of ``--json`` without a file."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a verb: the results for ``--json``, and the text and tables to print."""

    results: Any
    shown: Iterable[RenderableType] = ()


class _Command(TyperCommand):
    """A command that shows the usage of its verb without the braces that typer would add."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return ["[OPTIONS]", str(self.params[0].metavar)]


def build_command(name: str) -> typer.Typer:
    """Import a verb and return its command."""
    verb = VERBS[name]
    module, _, function = verb.function.partition(":")
    run: Callable[..., Outcome] = getattr(import_module(f"tutelage.cli.{module}"), function)
    given = typer.Argument(
        None if verb.defaults else ...,
        metavar=verb.usage,
        help="Settings, as in epochs=30 optimizer.lr=0.001, or a FILE.yaml of settings; the last one wins.",
    )
    results = typer.Option(
        None, "--json", metavar="[FILE.json]", help="Write the results as JSON to a file, or to stdout instead of text."
    )
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

    @app.command(help=verb.help, cls=_Command)
    def command(words: list[str] | None = given, json: str | None = results) -> None:
        names, settings = sort_words(words or [])
        _check_names(name, verb, names)
        _print(lambda: run(settings, *names), json)

    return app


def name_json(words: Sequence[str]) -> list[str]:
    """Attach a file to each ``--json``: the next word if it ends with ``.json`` and is not a setting, otherwise stdout.

    Typer has no options with an optional value.

    Example:
        >>> name_json(["--json", "runs/a", "--json", "a.json"])
        ['--json=-', 'runs/a', '--json=a.json']
    """
    named: list[str] = []
    for word, following in zip(words, [*words[1:], ""]):
        if named and named[-1] == f"--json={word}":
            continue
        file = following if following.endswith(".json") and "=" not in following else STDOUT
        named.append(f"--json={file}" if word == "--json" else word)
    return named


def describe_images(count: int | None, split: str | None) -> str:
    """Return which images were measured.

    Example:
        >>> describe_images(1200, "test"), describe_images(1200, "all")
        ('1,200 images of test', 'all 1,200 images')
    """
    return f"all {count:,} images" if split == "all" else f"{count:,} images of {split}"


def _check_names(name: str, verb: Verb, names: Sequence[str]) -> None:
    several = bool(verb.names) and verb.names[-1].endswith("...")
    if len(names) < len(verb.names):
        missing = verb.names[len(names)].removesuffix("...")
        raise TutelageError(f"{missing} is missing; usage: tutelage {name} {verb.usage}")
    if len(names) > len(verb.names) and not several:
        raise TutelageError(f"'{shortened(names[len(verb.names)])}' is neither key=value nor a YAML file (*.yaml)")


def _print(run: Callable[[], Outcome], json: str | None) -> None:
    if json == STDOUT:
        with redirect_stdout(sys.stderr):
            text = _as_json(run())
        if is_main_process():
            print(text)
        return
    file = _file(json) if json is not None else None
    outcome = run()
    console = build_console()
    for part in outcome.shown:
        if isinstance(part, (str, Text)):
            console.print(part, highlight=False, markup=False, soft_wrap=True)
        else:
            console.print(part)
    if file is not None and is_main_process():
        file.write_text(_as_json(outcome) + "\n", encoding="utf-8")


def _file(json: str) -> Path:
    """Return the file for the results, and create its folder, so that errors occur before hours of training."""
    file = expand(json)
    if file.is_dir():
        raise TutelageError(f"--json={json} is a folder; name a file")
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def _as_json(outcome: Outcome) -> str:
    return to_json(outcome.results, indent=2, inf_nan_mode="null").decode()
