"""``tutelage quickstart``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import Field

from tutelage import study
from tutelage.config import Settings, load
from tutelage.training.display import build_console


class QuickstartSettings(Settings):
    """``tutelage quickstart``: where, how many seeds, how long."""

    out: Path = Path("runs/quickstart")
    seeds: int = Field(5, ge=1)
    epochs: int = Field(40, ge=2, description="of each student")


def main(
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="out=FOLDER, seeds=NUMBER, epochs=NUMBER.")
    ] = None,
) -> None:
    """See what distillation gains, on embedded data.

    Trains a teacher, a student alone and students under the teacher; two minutes, nothing to download.

    \b
    tutelage quickstart out=runs/quickstart seeds=5
    """
    chosen = load(QuickstartSettings, *(settings or []))
    # Drawing takes a second to import, which a mistake in the settings need not wait for.
    from tutelage.report import write_report

    out = chosen.out.expanduser()
    found = study.quickstart(out, chosen.seeds, chosen.epochs)
    page = write_report(out / found.title, overwrite=True)
    console = build_console()
    console.print(f"\n{study.conclusion(found.rows)}", highlight=False)
    console.print(f"report in {page}", highlight=False, markup=False, soft_wrap=True)
