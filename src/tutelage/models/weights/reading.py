"""Read weights files without running code: safetensors, and files written by ``torch.save``."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from tutelage.errors import TutelageError


class _LeftOut:
    """Placeholder for an object in a checkpoint that is not a weight: accepts any arguments and does nothing."""

    def __new__(cls, *args: Any, **kwargs: Any) -> _LeftOut:
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...


#: Types that training scripts save next to the weights: options, scores, paths, OpenMMLab's history. None is rebuilt.
_BESIDE_WEIGHTS = (
    "argparse.Namespace",
    "pathlib.PosixPath",
    "pathlib._local.PosixPath",
    "pathlib.WindowsPath",
    "mmengine.logging.history_buffer.HistoryBuffer",
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    "numpy.dtype",
    "numpy.ndarray",
    "_codecs.encode",
)


def read_file(path: Path) -> Any:
    """Return the content of a weights file; other objects that scripts save next to the weights are replaced.

    Raises:
        TutelageError: If the file does not exist or is not a safe weights file.
    """
    if path.is_dir():
        raise TutelageError(f"weights '{path}': this is a folder; to load a saved model, set the model to the folder")
    if not path.is_file():
        raise TutelageError(f"weights '{path}': there is no such file; check the path")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        with torch.serialization.safe_globals([(_LeftOut, name) for name in _BESIDE_WEIGHTS]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes of unknown origin can make the two parsers fail in any way
        raise TutelageError(f"weights '{path}': {_why_unreadable(path, error)}") from error


def _why_unreadable(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        start = file.read(2)
    # In a zip archive of torch.save or a bare pickle, the format was recognized and the content rejected.
    if isinstance(error, pickle.UnpicklingError) and (start == b"PK" or start[:1] == b"\x80"):
        return (
            "this is not a safe weights file: it contains Python objects other than tensors, which could run code. "
            "Nothing in it was run. If you trust its origin, load it yourself and save only the state dict "
            "(torch.save(model.state_dict(), …), or safetensors)"
        )
    reason = str(error)
    if "TorchScript" in reason:
        return (
            "this is a TorchScript program, not a weights file; save its state dict (torch.save(model.state_dict(), …))"
        )
    if isinstance(error, pickle.UnpicklingError):  # PyTorch's message advises on trusting the file
        reason = f"it begins with {start!r}"
    first_line = (reason or type(error).__name__).splitlines()[0][:160]
    return (
        f"this is not a weights file ({first_line}); use safetensors (named *.safetensors) or a state dict written by "
        f"torch.save"
    )
