"""Weights files read without running code: safetensors, and what ``torch.save`` wrote."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from tutelage.errors import TutelageError


class _LeftOut:
    """Stands for an object in a checkpoint that is no weight: it takes whatever it is given, and does nothing."""

    def __new__(cls, *args: Any, **kwargs: Any) -> _LeftOut:
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...


#: What training scripts save beside the weights: options, scores, paths, OpenMMLab's history. None of it is rebuilt.
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
    """Returns what a weights file holds; objects that scripts save beside the weights are left out.

    Raises :class:`TutelageError` where there is no such file, it is not a weights file, or not a safe one.
    """
    if path.is_dir():
        raise TutelageError(f"weights '{path}': is a folder, a weights file is needed; give a saved model as the model")
    if not path.is_file():
        raise TutelageError(f"weights '{path}': there is no such file")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        with torch.serialization.safe_globals([(_LeftOut, name) for name in _BESIDE_WEIGHTS]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes of unknown origin make the two parsers fail in every way there is
        raise TutelageError(f"weights '{path}': {_why_unreadable(path, error)}") from error


def _why_unreadable(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        start = file.read(2)
    # A zip archive of torch.save, or a bare pickle: it was understood as far as to be refused.
    if isinstance(error, pickle.UnpicklingError) and (start == b"PK" or start[:1] == b"\x80"):
        return (
            "this is not a safe weights file: it holds Python objects other than tensors, which could run code when "
            "loaded; it was refused and nothing in it was run. If you trust its origin, load it yourself and save the "
            "state dict alone (torch.save(model.state_dict(), …), or safetensors)"
        )
    reason = str(error)
    if "TorchScript" in reason:
        return (
            "this is a TorchScript program, not a weights file; save its state dict (torch.save(model.state_dict(), …))"
        )
    if isinstance(error, pickle.UnpicklingError):  # torch's own words are about how to trust a file
        reason = f"it begins with {start!r}"
    first_line = (reason or type(error).__name__).splitlines()[0][:160]
    return (
        f"this is not a weights file: neither safetensors (named *.safetensors) nor a state dict written by torch.save "
        f"can be read from it ({first_line})"
    )
