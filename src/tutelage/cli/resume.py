"""``tutelage resume``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tutelage import training


def main(folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of the run.")]) -> None:
    """Continue an interrupted run from its last checkpoint.

    \b
    tutelage resume runs/student
    """
    training.resume(folder)
