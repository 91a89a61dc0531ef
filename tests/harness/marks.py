"""What decides whether a test runs: its parameters, and the packages it needs."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest

from tutelage.export.formats.register import FORMATS


def quickly(values: Iterable[Any], quick: Collection[str]) -> list[Any]:
    """Returns the parameters of a test; those that are not called as one of ``quick`` are for ``make chaos``."""
    return [value if str(value) in quick else pytest.param(value, marks=pytest.mark.chaos) for value in values]


def need(*formats: str) -> None:
    """Skip the calling test or fixture unless the packages of these export formats are installed."""
    for name in formats:
        for package in FORMATS[name].packages:
            pytest.importorskip(package)
