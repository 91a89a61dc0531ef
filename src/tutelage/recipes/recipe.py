"""``Recipe``: the settings of an experiment and its published results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tutelage.config import DistillSettings, RunSettings, TrainSettings, as_mapping, load
from tutelage.errors import TutelageError

RUNS = "runs"
"""Parent of the recipes' run folders: ``runs/RECIPE``. A recipe refers to its teacher by the teacher's run folder."""


PUBLISHED = {"optimizer.decay_norms": True, "clip": None, "bn_momentum": None}
"""Defaults of published code: decay all parameters, do not clip gradients, keep the momentum of batch normalization."""


class Published(BaseModel):
    """A published result in percent, and its selection rule. Results with different rules are not comparable."""

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
    """The data set of a recipe, if it has no registered name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    classes: int = Field(gt=0)
    size: int = Field(gt=0)


class Recipe(BaseModel):
    """The content of a recipe file, and its name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    about: str = Field(min_length=1)
    verb: Literal["train", "distill"]
    images: Images | None = None
    config: Mapping[str, Any]
    published: tuple[Published, ...] = ()

    @property
    def trains(self) -> str:
        """The kind of published network that this recipe trains: ``alone`` or ``distilled``."""
        return "alone" if self.verb == "train" else "distilled"

    @property
    def headline(self) -> Published | None:
        """The first published result of the network that the recipe trains, or None."""
        return next((figure for figure in self.published if figure.of == self.trains), None)

    def settings(self, *layers: Mapping[str, Any] | str | Path) -> RunSettings:
        """Return the settings of the recipe, changed by ``layers``; the default run folder is ``runs/NAME``.

        Args:
            layers: Changes, as for :func:`tutelage.config.load`.

        Raises:
            TutelageError: If a setting is invalid, or ``data`` is not set and the recipe's data set has no registered
                name.
        """
        layers = ({"out": f"{RUNS}/{self.name}", **PUBLISHED}, self.config, *layers)
        data = as_mapping(*layers).get("data")
        if self.images is not None and not (data.get("name") if isinstance(data, dict) else data):
            raise TutelageError(
                f"the recipe {self.name} is for {self.images.name}, which tutelage does not download; set data=FOLDER "
                f"with train/ and val/, each with one folder per class ({self.images.classes:,} classes)"
            )
        return load(TrainSettings if self.verb == "train" else DistillSettings, *layers)
