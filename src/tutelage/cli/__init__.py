"""The command line: ``tutelage VERB key=value …``."""

from __future__ import annotations

import errno
import signal
import sys
import warnings
from importlib.metadata import version as installed_version
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from tutelage.cli.verbs import VERBS
from tutelage.console import escape_unencodable, phase
from tutelage.errors import EXIT_CODE, TutelageError

_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM)

app = typer.Typer(
    help="Distill image classifiers: a small student network learns from a large teacher.",
    epilog="tutelage VERB --help shows its arguments and examples. --debug shows the traceback of an error.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"tutelage {installed_version('tutelage')}, torch {installed_version('torch')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the versions and exit.")
    ] = False,
) -> None: ...


def _add(name: str, summary: str) -> None:
    everything = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

    @app.command(name, help=summary, context_settings=everything)
    def run(context: typer.Context) -> None:
        # PyTorch takes seconds to import, and help and completion do not need it.
        with phase(f"tutelage {name}: loading PyTorch"):
            from tutelage.cli.command import build_command, name_json

            command = build_command(name)
        command(name_json(context.args), prog_name=context.command_path)


for _name, _verb in VERBS.items():
    _add(_name, _verb.summary)


def main() -> None:
    """Run the command line; errors are printed as short messages, or as tracebacks with ``--debug``.

    The exit code is 2 for a mistake in the command, 1 for any other error, 130 after Ctrl-C and 75 after SIGTERM.
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
    """Raise SystemExit, so that partly written files are removed before the process ends."""
    sys.exit(EXIT_CODE)


def _explain(error: Exception) -> int:
    """Print an error in a few lines, and return the exit code."""
    console = Console(stderr=True)
    if isinstance(error, TutelageError):
        console.print(f"[bold red]error:[/] {_shown(error)}", highlight=False, soft_wrap=True)
        return 2
    said = _shown(error) or "no message"
    if isinstance(error, OSError) and error.errno in _FORBIDDEN:
        said += ". To write, set out=…, or TUTELAGE_CACHE for the cache, to a writable folder"
        said += "; to read, change the permissions (chmod)" if error.errno != errno.EROFS else ""
    console.print(f"[bold red]{type(error).__name__}:[/] {said}", highlight=False, soft_wrap=True)
    if isinstance(error, OSError) and error.filename is not None:
        return 1  # the message names the file and the reason
    console.print(
        "This is a bug in tutelage; please report it with the output of the same command with --debug.", soft_wrap=True
    )
    return 1


def _shown(error: Exception) -> str:
    """Return the message escaped for rich, including bytes in file names that are not valid text."""
    return escape(str(error).strip().encode(errors="backslashreplace").decode())
