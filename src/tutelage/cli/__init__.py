"""The command line: ``tutelage VERB key=value …``; one file a verb."""

from __future__ import annotations

import sys
import warnings

import typer
from rich.console import Console
from rich.markup import escape

from tutelage.cli import (
    bench,
    cache,
    compare,
    data,
    distill,
    evaluate,
    export,
    inspect,
    listing,
    predict,
    quickstart,
    recipe,
    replay,
    report,
    resume,
    study,
    train,
)
from tutelage.errors import TutelageError

app = typer.Typer(
    help="Distils image classifiers: a small student learns from a large teacher.",
    epilog="tutelage VERB --help shows what a verb takes, with examples. --debug shows the trace of an error.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("train")(train.main)
app.command("distill")(distill.main)
app.command("run")(recipe.main)
app.command("resume")(resume.main)
app.command("replay")(replay.main)
app.command("evaluate")(evaluate.main)
app.command("inspect")(inspect.main)
app.command("bench")(bench.main)
app.command("cache")(cache.main)
app.command("study")(study.main)
app.command("report")(report.main)
app.command("export")(export.main)
app.command("predict")(predict.main)
app.command("compare")(compare.main)
app.command("list")(listing.main)
app.add_typer(data.app, name="data")
app.command("quickstart")(quickstart.main)


def main() -> None:
    """Runs the command line; an error is one short message, and with ``--debug`` its trace.

    The exit code is 2 for a mistake of the user's, 1 for anything else that goes wrong, 130 after Ctrl-C.
    """
    words = [word for word in sys.argv[1:] if word != "--debug"]
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"
    try:
        app(words)
    except Exception as error:
        if len(words) < len(sys.argv) - 1:
            raise
        sys.exit(_explain(error))


def _explain(error: Exception) -> int:
    """Shows an error in a few lines, and returns the exit code."""
    console = Console(stderr=True)
    if isinstance(error, TutelageError):
        console.print(f"[bold red]error:[/] {_shown(error)}", highlight=False, soft_wrap=True)
        return 2
    said = _shown(error) or "no message"
    console.print(f"[bold red]{type(error).__name__}:[/] {said}", highlight=False, soft_wrap=True)
    if isinstance(error, OSError) and error.filename is not None:
        return 1  # of a file, and it says what is wrong with it
    console.print("This was not foreseen. The same command with --debug shows where it came from.", soft_wrap=True)
    return 1


def _shown(error: Exception) -> str:
    """The message as rich prints it; names on a disk may hold bytes that are no character."""
    return escape(str(error).strip().encode(errors="backslashreplace").decode())
