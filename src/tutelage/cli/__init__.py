"""The command line: ``tutelage VERB key=value …``; one file a verb."""

from __future__ import annotations

import sys
import warnings

import typer
from rich.console import Console
from rich.markup import escape

from tutelage.cli import bench, cache, distill, evaluate, inspect, listing, quickstart, recipe, resume, train
from tutelage.errors import TutelageError

app = typer.Typer(
    help="Distils image classifiers: a small student learns from a large teacher.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("train")(train.main)
app.command("distill")(distill.main)
app.command("run")(recipe.main)
app.command("resume")(resume.main)
app.command("evaluate")(evaluate.main)
app.command("inspect")(inspect.main)
app.command("bench")(bench.main)
app.command("cache")(cache.main)
app.command("list")(listing.main)
app.command("quickstart")(quickstart.main)


def main() -> None:
    """Runs the command line; a mistake of the user's is one clear message and exit code 2, never a traceback."""
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"
    try:
        app()
    except TutelageError as error:
        Console(stderr=True).print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(2)
