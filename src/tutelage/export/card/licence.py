"""Licenses of pretrained weights, where known."""

from __future__ import annotations

from pathlib import Path

from tutelage.config import read_yaml
from tutelage.errors import TutelageError
from tutelage.models import HUB, TIMM
from tutelage.paths import expand

RANDOM = "none: random weights"
UNKNOWN = "unknown"


def licence(name: str, weights: str | None) -> str:
    """Return a description of the license of a network's initial weights.

    timm lists the license of its pretrained weights. Runs are traced back to the weights they started from. Other
    pretrained weights have an unknown license.

    Args:
        name: Name of the network as for ``create_model``; run and model folders include weights.
        weights: Weights as for ``create_model``; None and "random" are equivalent.
    """
    if weights == "pretrained" and name.startswith(TIMM):
        import timm

        pretrained = timm.get_pretrained_cfg(name.removeprefix(TIMM))
        return (pretrained.license if pretrained is not None else None) or UNKNOWN
    if weights in (None, "random"):
        folder = expand(name)
        if folder.is_dir():
            return _of_folder(folder)
        return UNKNOWN if name.startswith(HUB) else RANDOM
    folder = expand(weights)
    return _of_folder(folder) if folder.is_dir() else UNKNOWN


def _of_folder(folder: Path) -> str:
    """Return the license of a run, or of the ``student/`` folder in it."""
    for config in (folder / "config.yaml", folder.parent / "config.yaml"):
        try:
            tree = read_yaml(config)
            begun = tree["model"] if "model" in tree else tree["student"]
            return licence(begun["name"], begun.get("weights"))
        except (TutelageError, KeyError, TypeError):
            continue
    return UNKNOWN
