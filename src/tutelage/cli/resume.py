"""``tutelage resume``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tutelage import training


def main(folder: Annotated[Path, typer.Argument(metavar="RUN", help="the folder of an interrupted run")]) -> None:
    """Continue an interrupted run from its last finished epoch.

    tutelage resume runs/student
    """
    training.resume(folder)
