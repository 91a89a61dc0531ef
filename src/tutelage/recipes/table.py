"""Tables: one method on many pairs of networks, in one file whose name contains ``PAIR``.

``dkd/cifar100-PAIR.yaml`` holds a recipe for each entry of its ``pairs``, such as
``dkd/cifar100-resnet56-resnet20``: the published ``value``, and what else is special to this pair. The settings and the
source that its recipes share stand once, above. What all tables of a benchmark share is in ``cifar100.yaml``: the
training, and the networks of each pair with their published accuracies.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

PAIR = "PAIR"
"""Stands for the name of a pair in the name of a table's file."""


def names_in(file: Path) -> list[str]:
    """Return the last parts of the names of the recipes in a file: of one recipe, or of a table's."""
    return [file.stem.replace(PAIR, pair) for pair in _read(file)["pairs"]] if PAIR in file.stem else [file.stem]


def content_of(file: Path, name: str) -> Mapping[str, Any]:
    """Return the content of the recipe in ``file`` with the last part ``name`` of its name."""
    if PAIR not in file.stem:
        return _read(file)
    before, _, after = file.stem.partition(PAIR)
    benchmark, table = _read(file.parents[1] / f"{before.rstrip('-')}.yaml"), _read(file)
    pair = name.removeprefix(before).removesuffix(after)
    networks, row = benchmark["pairs"][pair], table["pairs"][pair]
    distilled = {key: value for key, value in row.items() if key != "config"}
    return {
        "about": f"{networks['about']}, {table['about']}",
        "verb": "distill",
        "images": benchmark.get("images"),
        "config": merged(*(layer.get("config", {}) for layer in (benchmark, networks, table, row))),
        "published": [
            *([{"of": "distilled", **table["published"], **distilled}] if "value" in row else []),
            *({"of": of, "value": networks[of], **how} for of, how in benchmark["published"].items()),
        ],
    }


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the layers as one mapping, in which the last value of a key wins; mappings in it are merged likewise.

    Example:
        >>> merged({"dkd": {"alpha": 1, "beta": 8}, "epochs": 240}, {"dkd": {"beta": 2}})
        {'dkd': {'alpha': 1, 'beta': 2}, 'epochs': 240}
    """
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
            result[key] = merged(result[key], value) if both else value
    return result


@cache
def _read(file: Path) -> Mapping[str, Any]:
    content: Mapping[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content
