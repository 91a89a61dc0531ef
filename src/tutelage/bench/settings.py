"""The settings of ``tutelage bench``: those of ``distill``, and how long to measure."""

from __future__ import annotations

import pydantic
from pydantic import Field

from tutelage.config import DistillSettings

BenchSettings = pydantic.create_model(
    "BenchSettings",
    __base__=DistillSettings,
    __doc__="``tutelage bench``: the settings of ``distill``, and how long to measure.",
    turns=(int, Field(5, ge=1, description="times that every variant has its turn, after one that warms up")),
    steps=(int, Field(10, ge=1, description="steps a turn")),
)
