"""The settings of ``tutelage export``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from tutelage.config import Settings
from tutelage.data import DataSettings

Name = Literal["safetensors", "onnx", "int8", "executorch", "torch_export"]


class ExportSettings(Settings):
    """Model, formats and destination of an export."""

    model: str = Field(description="a run folder or the folder of a saved model")
    format: tuple[Name, ...] = Field(("safetensors",), description="one format, or several in brackets")
    out: Path | None = Field(None, description="folder to write; default: MODEL/export")
    overwrite: bool = Field(False, description="replace an earlier export")
    data: DataSettings = Field(description="real images to check with; default: the data of the run")
    images: int | None = Field(None, ge=1, description="number of images to check with, evenly spread; None: all")
    calibration: int = Field(512, ge=1, description="number of training images to calibrate int8 with")
    preprocessing: bool = Field(
        True, description="include the normalization, so that files take uint8 images; false: they take floats"
    )
    push: str | None = Field(None, pattern=r"^[\w.-]+/[\w.-]+$", description="USER/NAME on the Hugging Face hub")
    private: bool = Field(False, description="whether push creates a private repository")

    @field_validator("format", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        names = value.split(",") if isinstance(value, str) else value
        if not names:
            raise ValueError("set one or several formats, as in format=[onnx,int8]")
        return list(dict.fromkeys(name.strip() for name in names))

    @field_validator("out")
    @classmethod
    def _expand(cls, out: Path | None) -> Path | None:
        return out.expanduser() if out is not None else None
