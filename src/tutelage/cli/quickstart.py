"""``tutelage quickstart``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import Field

from tutelage import study
from tutelage.config import Settings, load


class QuickstartSettings(Settings):
    """``tutelage quickstart``: where, and how many seeds."""

    out: Path = Path("runs/quickstart")
    seeds: int = Field(3, ge=1)


def main(settings: Annotated[list[str] | None, typer.Argument(metavar="[out=FOLDER] [seeds=N]")] = None) -> None:
    """Teacher, student alone and distilled student on embedded data: two minutes, nothing to download.

    tutelage quickstart
    """
    chosen = load(QuickstartSettings, *(settings or []))
    study.quickstart(chosen.out.expanduser(), chosen.seeds)
