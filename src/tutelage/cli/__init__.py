"""The command line: ``tutelage VERB key=value …``; one file a verb."""

from __future__ import annotations

import sys

import typer
from rich.console import Console
from rich.markup import escape

from tutelage.cli import distill, evaluate, inspect, listing, quickstart, recipe, resume, train
from tutelage.errors import TutelageError

app = typer.Typer(
    help="Distils image classifiers: a small student learns from a large teacher.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for name, function in {
    "train": train.main,
    "distill": distill.main,
    "run": recipe.main,
    "resume": resume.main,
    "evaluate": evaluate.main,
    "inspect": inspect.main,
    "list": listing.main,
    "quickstart": quickstart.main,
}.items():
    app.command(name)(function)


def main() -> None:
    """Runs the command line; a mistake of the user's is one clear message and exit code 2, never a traceback."""
    try:
        app()
    except TutelageError as error:
        Console(stderr=True).print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(2)
