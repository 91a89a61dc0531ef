"""The command line: ``tutelage VERB key=value …``; one file a verb."""

from __future__ import annotations

import errno
import signal
import sys
import warnings
from importlib import import_module
from types import FrameType

import typer
from rich.console import Console
from rich.markup import escape

from tutelage.console import escape_unencodable, phase
from tutelage.errors import EXIT_CODE, TutelageError

VERBS = {
    "train": "Train one network on labels, for example a teacher.",
    "distill": "Train a student under a teacher.",
    "run": "Run a published experiment, beside its figures.",
    "resume": "Continue an interrupted run from its last checkpoint.",
    "replay": "Take the step again at which a run stopped being finite.",
    "evaluate": "Measure a run, or any network, on a split of data.",
    "inspect": "List the points where a network can be tapped.",
    "bench": "Measure how fast a distillation trains.",
    "cache": "Store what a distillation needs of its teacher.",
    "study": "Compare methods or any settings, over seeds.",
    "report": "Draw what runs came to, as one page.",
    "export": "Write the student of a run for other runtimes.",
    "predict": "Say what is in images, with probabilities.",
    "compare": "Put models side by side: size, speed, accuracy.",
    "list": "List what there is by name, or every setting.",
    "quickstart": "See what distillation gains, on embedded data.",
    "data": "Prepare data.",
}
"""What the help says of each verb: the first line of its own."""
MODULES = {"run": "recipe", "list": "listing"}
"""The file of a verb that is not called like it."""

app = typer.Typer(
    help="Distils image classifiers: a small student learns from a large teacher.",
    epilog="tutelage VERB --help shows what a verb takes, with examples. --debug shows the trace of an error.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def find_verb(name: str) -> typer.Typer:
    """Imports a verb: PyTorch takes seconds, which help and completion need not wait for."""
    with phase(f"tutelage {name}: loading PyTorch"):
        main = import_module(f"tutelage.cli.{MODULES.get(name, name)}").main
    if isinstance(main, typer.Typer):
        return main
    verb = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    verb.command()(main)
    return verb


def _add(name: str, summary: str) -> None:
    everything = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

    @app.command(name, help=summary, context_settings=everything)
    def run(context: typer.Context) -> None:
        find_verb(name)(context.args, prog_name=context.command_path)


for _name, _summary in VERBS.items():
    _add(_name, _summary)


def main() -> None:
    """Runs the command line; an error is one short message, and with ``--debug`` its trace.

    The exit code is 2 for a mistake of the user's, 1 for anything else that goes wrong, 130 after Ctrl-C and 75
    after SIGTERM.
    """
    words = [word for word in sys.argv[1:] if word != "--debug"]
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"
    escape_unencodable()
    usual = signal.signal(signal.SIGTERM, _stop)
    try:
        app(words)
    except Exception as error:
        if len(words) < len(sys.argv) - 1:
            raise
        sys.exit(_explain(error))
    finally:
        signal.signal(signal.SIGTERM, usual)


def _stop(number: int, frame: FrameType | None) -> None:
    """End the process by an exception, so that what is half-written is removed on the way out."""
    sys.exit(EXIT_CODE)


def _explain(error: Exception) -> int:
    """Shows an error in a few lines, and returns the exit code."""
    console = Console(stderr=True)
    if isinstance(error, TutelageError):
        console.print(f"[bold red]error:[/] {_shown(error)}", highlight=False, soft_wrap=True)
        return 2
    said = _shown(error) or "no message"
    if isinstance(error, OSError) and error.errno == errno.EROFS:
        said += ". Set out=…, or TUTELAGE_CACHE for the cache, to a folder that can be written"
    console.print(f"[bold red]{type(error).__name__}:[/] {said}", highlight=False, soft_wrap=True)
    if isinstance(error, OSError) and error.filename is not None:
        return 1  # of a file, and it says what is wrong with it
    console.print("This was not foreseen. The same command with --debug shows where it came from.", soft_wrap=True)
    return 1


def _shown(error: Exception) -> str:
    """The message as rich prints it; names on a disk may hold bytes that are no character."""
    return escape(str(error).strip().encode(errors="backslashreplace").decode())
