"""The words after a verb: settings as ``key=value``, or files of them."""

from __future__ import annotations

from typing import Annotated

import typer

_HELP = "Settings, as in epochs=30 optimizer.lr=0.001, or a FILE.yaml of them; later ones win."

Words = Annotated[list[str], typer.Argument(metavar="KEY=VALUE", help=_HELP)]
OptionalWords = Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help=_HELP)]
