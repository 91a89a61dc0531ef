"""``tutelage data``: what is done with data before any training."""

from __future__ import annotations

from pathlib import Path

import typer
from pydantic import Field

from tutelage.cli.words import Words
from tutelage.config import Settings, load
from tutelage.console import build_console
from tutelage.data import Shrinking, write_shards

main = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@main.callback()
def group() -> None:
    """Prepare data.

    \b
    tutelage data pack data=~/imagenet out=~/imagenet-256
    """


class PackedData(Settings):
    """The data set that is packed."""

    name: str = Field(description="a folder, a registered name, or USER/NAME on the Hugging Face hub")
    skip_broken: bool = Field(False, description="leave out unreadable images, and say so, instead of stopping")


class PackSettings(Settings):
    """``tutelage data pack``: what to pack, and how."""

    data: PackedData
    out: Path = Field(description="the folder of shards")
    size: int = Field(256, ge=1, description="pixels of the shorter side; images are never enlarged")
    quality: int = Field(92, ge=1, le=100, description="of JPEG")
    shard_mb: float = Field(256, gt=0, description="size at which a shard ends, in megabytes")
    workers: int = Field(2, ge=0, description="processes that decode and encode")
    seed: int = Field(0, ge=0, lt=2**63, description="of the order within each split")
    overwrite: bool = Field(False, description="replace an existing folder of shards")


@main.command("pack")
def pack(settings: Words) -> None:
    """Make images small once, and write them to tar shards.

    \b
    tutelage data pack data=~/imagenet out=~/imagenet-256 size=256 workers=8

    The shorter side becomes size pixels, JPEG; smaller images keep their bytes. All splits are written, each shuffled.
    The folder is then data=~/imagenet-256, and other readers of WebDataset's layout read it too.
    """
    chosen = load(PackSettings, *settings)
    out = chosen.out.expanduser()
    console = build_console()
    written = write_shards(
        chosen.data.name,
        out,
        Shrinking(chosen.size, chosen.quality),
        int(chosen.shard_mb * 1e6),
        chosen.workers,
        chosen.seed,
        chosen.data.skip_broken,
        chosen.overwrite,
    )
    counts = ", ".join(f"{count:,} {split}" for split, count in written.images.items())
    console.print(f"{out}: {counts} images in {written.shards} shards, {written.bytes / 1e6:,.1f} MB", soft_wrap=True)
    if written.left_out:
        console.print(f"left out {len(written.left_out):,} unreadable images; the first: {written.left_out[0]}")
