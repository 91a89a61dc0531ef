"""The settings of a run: pydantic models, YAML files, ``key=value`` words, and error messages with a remedy."""

from tutelage.config.files import read_json
from tutelage.config.load import as_mapping, dump, load, read_yaml, sort_words
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
from tutelage.config.text import to_yaml
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
    "keys",
    "load",
    "read_json",
    "read_yaml",
    "register_networks",
    "sort_words",
    "to_yaml",
    "words",
]
