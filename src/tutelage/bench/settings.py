"""The settings of ``tutelage bench``."""

from __future__ import annotations

from pydantic import Field

from tutelage.config import DistillSettings


class BenchSettings(DistillSettings):
    """The settings of ``tutelage bench``: the settings of ``distill``, and the length of the measurement."""

    turns: int = Field(5, ge=1, description="number of turns of each variant, after one warm-up turn")
    steps: int = Field(10, ge=1, description="number of steps per turn")
