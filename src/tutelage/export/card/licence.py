"""Under which licence weights were published, as far as it is known here."""

from __future__ import annotations

from pathlib import Path

from tutelage.config import read_yaml
from tutelage.errors import TutelageError
from tutelage.models import HUB, TIMM
from tutelage.paths import expand

RANDOM = "none: random weights"
UNKNOWN = "unknown"


def licence(name: str, weights: str | None) -> str:
    """Returns, in words, the licence of the weights that a network begins with.

    timm says it of its pretrained weights. A run is followed to where its own training began. Of what is pretrained
    elsewhere, it is unknown.

    Args:
        name: of the network, as for ``create_model``: a run or model folder comes with its weights.
        weights: as for ``create_model``; None and "random" are the same.
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
    """``folder`` is a run, or the ``student/`` of one."""
    for config in (folder / "config.yaml", folder.parent / "config.yaml"):
        try:
            tree = read_yaml(config)
            begun = tree["model"] if "model" in tree else tree["student"]
            return licence(begun["name"], begun.get("weights"))
        except (TutelageError, KeyError, TypeError):
            continue
    return UNKNOWN
