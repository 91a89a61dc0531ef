"""The words after a verb: settings as ``key=value``, or files of them."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import Field

from tutelage.config import Settings

_HELP = "Settings, as in epochs=30 optimizer.lr=0.001, or a FILE.yaml of them; later ones win."

_NETWORK = "A network of your own that the run needs, as package.module:function; several in brackets."

Words = Annotated[list[str], typer.Argument(metavar="KEY=VALUE", help=_HELP)]
OptionalWords = Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help=_HELP)]
NetworkWords = Annotated[list[str] | None, typer.Argument(metavar="network=NAME", help=_NETWORK)]


class OwnNetworks(Settings):
    """The networks that a stored run or model names and only the user may import."""

    network: str | tuple[str, ...] | None = Field(None, description=_NETWORK)
