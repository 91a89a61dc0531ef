"""``tutelage quickstart``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import Field

from tutelage import study
from tutelage.config import Settings, load


class QuickstartSettings(Settings):
    """``tutelage quickstart``: where, how many seeds, how long."""

    out: Path = Path("runs/quickstart")
    seeds: int = Field(3, ge=1)
    epochs: int = Field(20, ge=2, description="of each training")


def main(
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="out=FOLDER, seeds=NUMBER, epochs=NUMBER.")
    ] = None,
) -> None:
    """See what distillation gains, on embedded data.

    Trains a teacher, a student alone and students under the teacher; two minutes, nothing to download.

    \b
    tutelage quickstart out=runs/quickstart seeds=3
    """
    chosen = load(QuickstartSettings, *(settings or []))
    study.quickstart(chosen.out.expanduser(), chosen.seeds, chosen.epochs)
