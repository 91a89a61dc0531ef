"""A recipe: an experiment's settings, and what was published of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tutelage.config import DistillSettings, RunSettings, TrainSettings, as_mapping, load
from tutelage.errors import TutelageError

RUNS = "runs"
"""Where the runs of recipes go: ``runs/RECIPE``. A recipe names its teacher by the folder of the teacher's own run."""


PUBLISHED = {"optimizer.decay_norms": True, "clip": None, "bn_momentum": None}
"""What published code does unless a recipe says otherwise: decay every parameter, clip nothing, keep the momentum."""


class Published(BaseModel):
    """A published figure in percent, and the rule it was chosen by. Figures of different rules are not alike."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    of: Literal["alone", "teacher", "distilled"]
    figure: Literal["top-1", "top-5", "top-1 error", "top-5 error"]
    value: float = Field(gt=0, lt=100)
    deviation: float | None = Field(None, gt=0)
    rule: str = Field(min_length=1, description="which epoch, which data, how many runs")
    source: str = Field(min_length=1)
    note: str | None = Field(None, description="how the published settings, networks or weights differ from the recipe")

    def __str__(self) -> str:
        deviation = "" if self.deviation is None else f" ± {self.deviation:.2f}"
        return f"{self.figure} {self.value:.2f}{deviation} ({self.rule})"


class Images(BaseModel):
    """The images a recipe is for, where no registered name stands for them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    classes: int = Field(gt=0)
    size: int = Field(gt=0)


class Recipe(BaseModel):
    """The content of a recipe's file, with its name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    about: str = Field(min_length=1)
    verb: Literal["train", "distill"]
    images: Images | None = None
    config: Mapping[str, Any]
    published: tuple[Published, ...] = ()

    @property
    def trains(self) -> str:
        """Which of the published networks this recipe makes."""
        return "alone" if self.verb == "train" else "distilled"

    @property
    def headline(self) -> Published | None:
        """The first published figure of what the recipe trains."""
        return next((figure for figure in self.published if figure.of == self.trains), None)

    def settings(self, *layers: Mapping[str, Any] | str | Path) -> RunSettings:
        """Returns the settings with changes (see :func:`tutelage.config.load`); the run's folder is ``runs/NAME``.

        Raises :class:`TutelageError` where a setting is wrong, or the recipe's images have no name and none are given.
        """
        layers = ({"out": f"{RUNS}/{self.name}", **PUBLISHED}, self.config, *layers)
        data = as_mapping(*layers).get("data")
        if self.images is not None and not (data.get("name") if isinstance(data, dict) else data):
            raise TutelageError(
                f"the recipe {self.name} is for {self.images.name}, which is not downloaded for you: give data=FOLDER "
                f"with train/ and val/, and in each a folder a class ({self.images.classes:,} classes)"
            )
        return load(TrainSettings if self.verb == "train" else DistillSettings, *layers)
