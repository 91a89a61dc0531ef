"""Settings of a run: pydantic models, YAML files, ``key=value`` overrides, and errors that name the way out."""

from tutelage.config.files import read_json
from tutelage.config.load import as_mapping, dump, is_path, load, read_yaml
from tutelage.config.sections import keys
from tutelage.config.settings import (
    DistillSettings,
    ModelSettings,
    RunSettings,
    Settings,
    TeacherSettings,
    TrainSettings,
    register_networks,
)
from tutelage.config.words import command, flatten, words

__all__ = [
    "DistillSettings",
    "ModelSettings",
    "RunSettings",
    "Settings",
    "TeacherSettings",
    "TrainSettings",
    "as_mapping",
    "command",
    "dump",
    "flatten",
    "is_path",
    "keys",
    "load",
    "read_json",
    "read_yaml",
    "register_networks",
    "words",
]
