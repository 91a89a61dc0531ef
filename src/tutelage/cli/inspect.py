"""``tutelage inspect``."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import Field
from rich.console import Console
from rich.table import Table

from tutelage.config import ModelSettings, Settings, load
from tutelage.distillation import native_size
from tutelage.models import count_macs, create_model, parameter_count, register_functions
from tutelage.taps import Probe


class InspectSettings(Settings):
    """``tutelage inspect``: which network, and the side of its input."""

    model: ModelSettings
    size: int | None = Field(None, gt=0)


def main(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A name (tutelage list models) or a folder.")],
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="size=PIXELS, the side of the input.")
    ] = None,
) -> None:
    """List the points where a network can be tapped.

    Each has a name, a shape and a level, and may lie before or after an activation.

    \b
    tutelage inspect timm/resnet18 size=64
    """
    chosen = load(InspectSettings, {"model": model}, *(settings or []))
    register_functions(chosen.model.name)
    network = create_model(chosen.model.name, weights=chosen.model.weights)
    size = (chosen.size, chosen.size) if chosen.size is not None else native_size(network)
    probe = Probe(network, size)
    console = Console()
    macs = count_macs(network, size)
    console.print(
        f"{model}: {parameter_count(network):,} parameters, {macs:,} MACs at {size[0]}×{size[1]}", highlight=False
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("tap", "shape", "operation", "level", "activation"):
        table.add_column(column, no_wrap=True)
    levels = {point.name for point in probe.levels}
    for point in probe.points:
        shape = "×".join(map(str, point.shape))
        level = "" if point.level is None else str(point.level)
        style = "bold" if point.name in levels else ""
        table.add_row(point.name, shape, point.operation, level, point.activation, style=style)
    console.print(table)
    console.print(f"levels: {', '.join(point.name for point in probe.levels)}", highlight=False)
