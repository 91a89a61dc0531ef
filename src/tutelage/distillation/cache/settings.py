"""The settings ``cache.*`` of the target cache."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class CacheSettings(BaseModel):
    """Storage of the teacher's outputs for later epochs and runs; without ``cache.views`` the teacher runs live."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    views: int | Literal["all"] | None = Field(
        None,
        description="number of views of each image to store, used in turn; all: one per epoch; null: no cache",
    )
    top_k: int | None = Field(
        None, ge=1, description="number of largest logits to store, plus the mass of the rest; null: all"
    )
    features: bool = Field(False, description="store feature maps too (hints, nst.layers=last)")
    dtype: Literal["fp16", "fp32"] = Field("fp16", description="number format of the stored targets")
    folder: Path | None = Field(None, description="folder of the targets; default: targets/ in $TUTELAGE_CACHE")

    @field_validator("views", mode="before")
    @classmethod
    def _number_or_all(cls, views: object) -> object:
        number = int(views) if isinstance(views, (int, str)) and str(views).isdecimal() else 0
        if views not in (None, "all") and number < 1:
            raise ValueError("expected a number of views of each image, at least 1, or all")
        return views

    @field_validator("folder")
    @classmethod
    def _wherever_it_is_run_from(cls, folder: Path | None) -> Path | None:
        return folder.expanduser().absolute() if folder is not None else None

    def view(self, epoch: int) -> int:
        """Return the view of each image that is shown in ``epoch``; both count from 0."""
        return epoch % self.views if isinstance(self.views, int) else epoch

    def pool(self, epochs: int) -> int:
        """Return how many different views of each image a run of ``epochs`` epochs shows."""
        return min(self.views, epochs) if isinstance(self.views, int) else epochs
