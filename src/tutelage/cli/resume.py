"""``tutelage resume``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tutelage import training
from tutelage.cli.words import NetworkWords, OwnNetworks
from tutelage.config import load


def main(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of the run.")],
    settings: NetworkWords = None,
) -> None:
    """Continue an interrupted run from its last checkpoint.

    \b
    tutelage resume runs/student
    tutelage resume runs/student network=networks.mine:small
    """
    training.resume(folder, load(OwnNetworks, *(settings or [])).network)
