"""``tutelage replay``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tutelage import training
from tutelage.cli.words import NetworkWords, OwnNetworks
from tutelage.config import load


def main(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of the run.")],
    settings: NetworkWords = None,
) -> None:
    """Take the step again at which a run stopped being finite.

    \b
    tutelage replay runs/student

    It says which layer is the first whose output is not finite, or whose gradient is not. The step's images are in
    RUN/failure.json.
    """
    console = Console()
    console.print(
        str(training.replay(folder, load(OwnNetworks, *(settings or [])).network)),
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
