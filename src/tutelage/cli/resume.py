"""``tutelage resume``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import Field

from tutelage import training
from tutelage.cli.words import OptionalWords, OwnNetworks
from tutelage.config import load


class ResumeSettings(OwnNetworks):
    """``tutelage resume``: what a stored run cannot know."""

    data: str | None = Field(None, description="where the data are now, if they moved")


def main(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of the run.")],
    settings: OptionalWords = None,
) -> None:
    """Continue an interrupted run from its last checkpoint.

    \b
    tutelage resume runs/student
    tutelage resume runs/student data=/new/place/of/flowers
    tutelage resume runs/student network=networks.mine:small

    Set data=… if the data moved, and network=package.module:function (several in brackets) for networks of your own.
    """
    chosen = load(ResumeSettings, *(settings or []))
    training.resume(folder, chosen.network, chosen.data)
