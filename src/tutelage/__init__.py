"""tutelage: distils image classifiers; a small student learns from a large teacher."""

from tutelage import losses
from tutelage.data import list_datasets
from tutelage.distillation import Distiller, Teacher
from tutelage.errors import TutelageError
from tutelage.methods import list_methods
from tutelage.models import create_model, list_models
from tutelage.recipes import list_recipes
from tutelage.training import distill, evaluate, resume, train

__all__ = [
    "Distiller",
    "Teacher",
    "TutelageError",
    "create_model",
    "distill",
    "evaluate",
    "list_datasets",
    "list_methods",
    "list_models",
    "list_recipes",
    "losses",
    "resume",
    "train",
]
