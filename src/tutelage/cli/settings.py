"""The settings of verbs with only a few of them."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from tutelage.config import ModelSettings, Settings


class OwnNetworks(Settings):
    """The user's own networks, which a stored run or model refers to by name."""

    network: str | tuple[str, ...] | None = Field(
        None, description="your own networks, as package.module:function; several in brackets"
    )


class ResumeSettings(OwnNetworks):
    """Settings of ``tutelage resume``."""

    data: str | None = Field(None, description="current location of the data, if they have moved")


class PredictSettings(OwnNetworks):
    """Settings of ``tutelage predict``."""

    top: int = Field(5, ge=1, description="number of classes to show per image")


class InspectSettings(Settings):
    """Settings of ``tutelage inspect``."""

    model: ModelSettings
    size: int | None = Field(None, gt=0, description="side of the input in pixels; null: that of the model")


class QuickstartSettings(Settings):
    """Settings of ``tutelage quickstart``."""

    out: Path = Path("runs/quickstart")
    seeds: int = Field(5, ge=1, description="number of runs of each method, with different seeds")
    epochs: int = Field(40, ge=2, description="epochs of each student")


class PackedData(Settings):
    """The data set to pack."""

    name: str = Field(description="a folder, a registered name, or USER/NAME on the Hugging Face hub")
    skip_broken: bool = Field(False, description="skip unreadable images with a warning instead of stopping")


class PackSettings(Settings):
    """Settings of ``tutelage data pack``."""

    data: PackedData
    out: Path = Field(description="folder of the shards")
    size: int = Field(256, ge=1, description="shorter side in pixels; images are never enlarged")
    quality: int = Field(92, ge=1, le=100, description="JPEG quality")
    shard_mb: float = Field(256, gt=0, description="size of a shard, in megabytes")
    workers: int = Field(2, ge=0, description="processes that decode and encode")
    seed: int = Field(0, ge=0, lt=2**63, description="seed of the order within each split")
    overwrite: bool = Field(False, description="replace an existing folder of shards")
