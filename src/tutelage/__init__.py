"""tutelage distils image classifiers: a small student learns from a large teacher."""

import sys
from contextlib import nullcontext
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tutelage import losses
    from tutelage.data import list_datasets
    from tutelage.distillation import Distiller, Teacher
    from tutelage.errors import TutelageError
    from tutelage.export import export_student
    from tutelage.methods import list_methods
    from tutelage.models import create_model, list_models
    from tutelage.recipes import list_recipes
    from tutelage.report import write_report
    from tutelage.runs import load_student
    from tutelage.students import compare, predict
    from tutelage.training import distill, evaluate, resume, train

_HOMES = {
    "Distiller": "distillation",
    "Teacher": "distillation",
    "TutelageError": "errors",
    "compare": "students",
    "create_model": "models",
    "distill": "training",
    "evaluate": "training",
    "export_student": "export",
    "list_datasets": "data",
    "list_methods": "methods",
    "list_models": "models",
    "list_recipes": "recipes",
    "load_student": "runs",
    "predict": "students",
    "resume": "training",
    "train": "training",
    "write_report": "report",
}

__all__ = [
    "Distiller",
    "Teacher",
    "TutelageError",
    "compare",
    "create_model",
    "distill",
    "evaluate",
    "export_student",
    "list_datasets",
    "list_methods",
    "list_models",
    "list_recipes",
    "load_student",
    "losses",
    "predict",
    "resume",
    "train",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Import public names on first use (PEP 562): importing PyTorch takes seconds, and ``--help`` does not need it."""
    if name in _HOMES:
        from tutelage.console import phase

        with phase("loading PyTorch") if "torch" not in sys.modules else nullcontext():
            return getattr(import_module(f"tutelage.{_HOMES[name]}"), name)
    if find_spec(f"tutelage.{name}") is None:
        raise AttributeError(f"module 'tutelage' has no attribute '{name}'")
    return import_module(f"tutelage.{name}")


def __dir__() -> list[str]:
    return __all__
