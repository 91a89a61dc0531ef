"""Export students to other formats, with a model card, and push them to the Hugging Face Hub."""

import warnings
from importlib import import_module
from typing import Any

from tutelage.export.export import export_student
from tutelage.export.record import Record
from tutelage.export.settings import ExportSettings
from tutelage.export.verify import measure

__all__ = [
    "ExportSettings",
    "Record",
    "export_student",
    "measure",
]

_MOVED = {
    "Comparison": "students",
    "Prediction": "students",
    "Student": "runs",
    "compare": "students",
    "load_student": "runs",
    "predict": "students",
}


def __getattr__(name: str) -> Any:
    """Return a name that moved in 0.2, with a deprecation warning; to be removed in 1.0."""
    if name not in _MOVED:
        raise AttributeError(f"module 'tutelage.export' has no attribute '{name}'")
    room = f"tutelage.{_MOVED[name]}"
    warnings.warn(f"tutelage.export.{name} is now {room}.{name}", DeprecationWarning, stacklevel=2)
    return getattr(import_module(room), name)
