"""``tutelage report``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from tutelage.cli.words import paths_and_settings
from tutelage.config import as_mapping

_HELP = "Folders of runs, or of a study; then out=FILE.html, figures=FOLDER, overwrite=true, data=FOLDER."


def main(words: Annotated[list[str], typer.Argument(metavar="RUN…|STUDY [KEY=VALUE]", help=_HELP)]) -> None:
    """Draw what runs came to, as one page.

    \b
    tutelage report runs/kd-0
    tutelage report runs/none-* runs/kd-* out=report.html figures=figures

    One run is shown by itself. Of several, those with method=none are the student alone, and equal ones are seeds.
    """
    # Drawing takes a second to import, which other verbs need not wait for.
    from tutelage.report import write_report

    runs, settings = paths_and_settings(words)
    out = write_report(*runs, **as_mapping(*settings))
    Console().print(f"report in {out}", highlight=False, markup=False, soft_wrap=True)
