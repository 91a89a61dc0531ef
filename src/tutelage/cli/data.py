"""``tutelage data pack``."""

from __future__ import annotations

from tutelage.cli.command import Outcome
from tutelage.cli.settings import PackSettings
from tutelage.config import load
from tutelage.data import Shrinking, write_shards
from tutelage.errors import unknown
from tutelage.paths import expand


def pack(settings: list[str], action: str) -> Outcome:
    if action != "pack":
        raise unknown("action", action, ["pack"])
    chosen = load(PackSettings, *settings)
    out = expand(chosen.out)
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
    lines = [f"{out}: {counts} images in {written.shards} shards, {written.bytes / 1e6:,.1f} MB"]
    if written.left_out:
        lines.append(f"skipped {len(written.left_out):,} unreadable images; the first: {written.left_out[0]}")
    return Outcome(written, lines)
