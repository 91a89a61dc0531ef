"""Networks by name: tutelage's own, and those of timm, torchvision, the Hugging Face hub and saved folders."""

from tutelage.models.class_names import described, match_classes, read_names
from tutelage.models.extension import Extension, Insertion, extended, extension_of
from tutelage.models.factory import create_model, list_models, saved_folder
from tutelage.models.given import Networks, handed_over, is_given, made_known, register_functions
from tutelage.models.heads import all_but, find_heads, is_within, keep_classes, replace_head
from tutelage.models.outputs import main_output
from tutelage.models.parts.norm import NormExpansion
from tutelage.models.parts.register import parts
from tutelage.models.parts.simkd import SimKDProjector
from tutelage.models.size import count_macs, parameter_count, shown_count
from tutelage.models.spec import HUB, TIMM, ModelSpec, Resize, spec_of
from tutelage.models.storage import check_storable, save_model
from tutelage.models.weights.fitting import load_weights, weights_hash

__all__ = [
    "Extension",
    "HUB",
    "Insertion",
    "ModelSpec",
    "Networks",
    "NormExpansion",
    "Resize",
    "SimKDProjector",
    "TIMM",
    "all_but",
    "check_storable",
    "count_macs",
    "create_model",
    "described",
    "extended",
    "extension_of",
    "find_heads",
    "handed_over",
    "is_given",
    "is_within",
    "keep_classes",
    "list_models",
    "load_weights",
    "made_known",
    "main_output",
    "match_classes",
    "parameter_count",
    "parts",
    "read_names",
    "register_functions",
    "replace_head",
    "save_model",
    "saved_folder",
    "shown_count",
    "spec_of",
    "weights_hash",
]
