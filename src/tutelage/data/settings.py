"""Settings ``data.*``."""

from __future__ import annotations

from typing import Annotated, Literal

from PIL import ImageColor
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tutelage.data.source import Rendering
from tutelage.models import Resize

Side = Annotated[int, Field(ge=1, le=2**14)]


class DataSettings(BaseModel):
    """Images to use, their splits and their augmentation. None stands for the data's own default."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(
        description="a registered name (digits, cifar10, …), a folder (class folders, parquet files or tar shards), a "
        "CSV file of images and labels, or USER/NAME on the Hugging Face hub"
    )
    image_column: str | None = Field(None, description="column of images in a CSV file; null: inferred")
    label_column: str | None = Field(None, description="column of labels in a CSV file; null: inferred")
    size: Side | tuple[Side, Side] | None = Field(
        None, description="side of the square images, or [height,width]; null: their own size, 224 if it varies"
    )
    resize: Resize = Field(
        "crop",
        description="how larger images are fitted to data.size: crop keeps the center, squash distorts, pad adds a "
        "border of data.background",
    )
    fraction: float = Field(1.0, gt=0, le=1, description="class-balanced fraction of train to use")
    labelled: float = Field(
        1.0,
        gt=0,
        le=1,
        description="class-balanced fraction of the training labels to use; the other images are used without labels",
    )
    sampling: Literal["uniform", "balanced"] = Field(
        "uniform", description="balanced: all classes equally often; images of rare classes repeat within an epoch"
    )
    validation: float = Field(
        0.1, ge=0, lt=1, description="fraction of train to hold out if there is no validation set"
    )
    split_seed: int = Field(0, ge=0, lt=2**63, description="seed of fraction, labelled and validation")
    augment: bool = Field(True, description="random views in training; false: the same views as in evaluation")
    view_seed: int = Field(
        0, ge=0, lt=2**63, description="seed of the random views; separate from seed, so that runs can share views"
    )
    padding: int | None = Field(
        None, ge=0, description="pixels around small images before the random crop; null: size/8"
    )
    padding_mode: Literal["zeros", "reflect"] = "zeros"
    flip: bool | None = Field(None, description="mirror half of the views; null: true, except for digits")
    scale: tuple[float, float] | None = Field(
        None,
        description="minimum and maximum area of larger images' random crop; null: (0.08, 1), up to 96 px (0.35, 1)",
    )
    randaugment: int = Field(0, ge=0, le=100, description="number of RandAugment operations per image; 0: none")
    randaugment_magnitude: int = Field(9, ge=0, le=30, description="magnitude of RandAugment, from 0 to 30")
    mixup: float = Field(0.0, ge=0, description="α of mixup's Beta distribution; 0: no mixup")
    cutmix: float = Field(0.0, ge=0, description="α of CutMix's Beta distribution; 0: no CutMix")
    mix_probability: float = Field(1.0, ge=0, le=1, description="probability that a pair of images is mixed")
    workers: int = Field(2, ge=0, le=1024, description="processes that decode larger images")
    skip_broken: bool = Field(False, description="skip unreadable images with a warning instead of stopping")
    background: str = Field("white", description="color behind transparent pixels: a name, or '#rrggbb'")
    white: float | None = Field(
        None,
        gt=0,
        description="white level of images of 16- or 32-bit integers or floats, such as 4095 for 12 bits; null: 65535, "
        "and 1 for floats",
    )
    stream: bool = Field(
        False, description="prefetch shards (tar, parquet) during training, and shuffle within windows of them"
    )
    window: int = Field(
        16, ge=1, description="number of shards that are shuffled together and prefetched; stream=true only"
    )
    disk_gb: float | None = Field(
        None, gt=0, description="maximum size of the shards in the cache, in GB; null: unlimited; stream=true only"
    )

    @property
    def shape(self) -> tuple[int, int] | None:
        """Size (H, W) of the images, or None if it is not set."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    @field_validator("scale")
    @classmethod
    def _ordered(cls, scale: tuple[float, float] | None) -> tuple[float, float] | None:
        if scale is not None and not 0 < scale[0] <= scale[1] <= 1:
            raise ValueError("expected 0 < minimum <= maximum <= 1")
        return scale

    @field_validator("background")
    @classmethod
    def _color(cls, background: str) -> str:
        try:
            ImageColor.getrgb(background)
        except ValueError:
            raise ValueError("not a color; use a name (white, black, gray) or '#rrggbb'") from None
        return background

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> DataSettings:
        if not self.stream and (self.window, self.disk_gb) != (16, None):
            raise ValueError("data.window and data.disk_gb only apply to streaming; set data.stream=true")
        if self.stream and self.sampling == "balanced":
            raise ValueError(
                "data.sampling=balanced draws from all shards and cannot stream; set class_weights=balanced instead"
            )
        return self

    @property
    def rendering(self) -> Rendering:
        return Rendering(self.background, self.white)

    @property
    def mixtures(self) -> tuple[str, ...]:
        """Names of the settings that mix images; empty without augmentation."""
        return tuple(name for name in ("mixup", "cutmix") if self.augment and getattr(self, name) > 0)
