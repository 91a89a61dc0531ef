"""The words after a verb: settings as ``key=value``, or files of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from pydantic import Field

from tutelage.config import Settings, is_path

_HELP = "Settings, as in epochs=30 optimizer.lr=0.001, or a FILE.yaml of them; later ones win."

_NETWORK = "A network of your own that the run needs, as package.module:function; several in brackets."

Words = Annotated[list[str], typer.Argument(metavar="KEY=VALUE", help=_HELP)]
OptionalWords = Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help=_HELP)]
NetworkWords = Annotated[list[str] | None, typer.Argument(metavar="network=NAME", help=_NETWORK)]


class OwnNetworks(Settings):
    """The networks that a stored run or model names and only the user may import."""

    network: str | tuple[str, ...] | None = Field(None, description=_NETWORK)


def paths_and_settings(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words that are paths, and those that are settings or files of them."""
    paths = [word for word in words if is_path(word) and not word.endswith((".yaml", ".yml"))]
    return paths, [word for word in words if word not in paths]
