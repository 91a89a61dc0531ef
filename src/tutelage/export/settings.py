"""The settings of ``tutelage export``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from tutelage.config import Settings
from tutelage.data import DataSettings

Name = Literal["safetensors", "onnx", "int8", "executorch", "torch_export"]


class ExportSettings(Settings):
    """What to export, in which formats, and where to."""

    model: str = Field(description="a run folder, or the folder of a saved model")
    format: tuple[Name, ...] = Field(("safetensors",), description="one, or several in brackets")
    out: Path | None = Field(None, description="the folder to write; MODEL/export where not given")
    overwrite: bool = Field(False, description="replace an earlier export")
    data: DataSettings = Field(description="the real images to check with; those of the run where not given")
    images: int | None = Field(None, ge=1, description="to check with, evenly spread; None: all of the split")
    calibration: int = Field(512, ge=1, description="training images that int8 takes its ranges from")
    preprocessing: bool = Field(
        True, description="normalisation inside the file, which then takes uint8 images; false: it takes floats"
    )
    push: str | None = Field(None, pattern=r"^[\w.-]+/[\w.-]+$", description="USER/NAME on the Hugging Face hub")
    private: bool = Field(False, description="whether the repository that push makes is private")

    @field_validator("format", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        names = value.split(",") if isinstance(value, str) else value
        if not names:
            raise ValueError("give one or several, as in format=[onnx,int8]")
        return list(dict.fromkeys(name.strip() for name in names))

    @field_validator("out")
    @classmethod
    def _expand(cls, out: Path | None) -> Path | None:
        return out.expanduser() if out is not None else None
