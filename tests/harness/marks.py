"""Which parameters of a test are tried each time, and which at length."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def quickly(values: Iterable[Any], quick: Collection[str]) -> list[Any]:
    """Returns the parameters of a test; those that are not called as one of ``quick`` are for ``make chaos``."""
    return [value if str(value) in quick else pytest.param(value, marks=pytest.mark.chaos) for value in values]
