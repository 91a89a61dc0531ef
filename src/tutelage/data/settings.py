"""The settings of the data: the keys ``data.*`` of the command line."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator


class DataSettings(BaseModel):
    """Which images, how they are split, and how they are augmented. None stands for the data's own default."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(description="a registered name (digits, cifar10, …) or a folder: class folders or parquet files")
    size: int | None = Field(None, ge=1, description="side of the square images; None: their own, 224 where they vary")
    fraction: float = Field(1.0, gt=0, le=1, description="class-balanced part of train to train on")
    validation: float = Field(0.1, ge=0, lt=1, description="part of train to hold out where there is no validation set")
    split_seed: int = Field(0, ge=0, lt=2**63, description="of fraction and validation")
    augment: bool = Field(True, description="random views in training; false: the views of evaluation")
    view_seed: int = Field(
        0, ge=0, lt=2**63, description="of the views, apart from the run's seed so that runs can share views"
    )
    padding: int | None = Field(
        None, ge=0, description="pixels around small images before the random crop; None: size/8"
    )
    padding_mode: Literal["zeros", "reflect"] = "zeros"
    flip: bool | None = Field(None, description="mirror half of the views; None: yes, but not digits")
    scale: tuple[float, float] | None = Field(
        None,
        description="least and greatest area of larger images' random crop; None: (0.08, 1), up to 96 px (0.35, 1)",
    )
    randaugment: int = Field(0, ge=0, description="operations of RandAugment in a row; 0: none")
    randaugment_magnitude: int = Field(9, ge=0, le=30, description="strength of all of them, from 0 to 30")
    mixup: float = Field(0.0, ge=0, description="alpha of mixup's Beta distribution; 0: no mixup")
    cutmix: float = Field(0.0, ge=0, description="alpha of CutMix's Beta distribution; 0: no CutMix")
    mix_probability: float = Field(1.0, ge=0, le=1, description="that a pair of images is mixed at all")
    workers: int = Field(2, ge=0, description="processes that decode larger images")
    skip_broken: bool = Field(False, description="leave out unreadable images, and say so, instead of stopping")

    @field_validator("scale")
    @classmethod
    def _ordered(cls, scale: tuple[float, float] | None) -> tuple[float, float] | None:
        if scale is not None and not 0 < scale[0] <= scale[1] <= 1:
            raise ValueError(f"scale={scale} must be 0 < least <= greatest <= 1")
        return scale

    @property
    def mixing(self) -> tuple[str, ...]:
        """The names of the settings that have images mixed; none where nothing is augmented."""
        return tuple(name for name in ("mixup", "cutmix") if self.augment and getattr(self, name) > 0)
