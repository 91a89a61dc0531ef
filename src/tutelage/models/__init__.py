"""Networks: this package's own, and those of timm, torchvision, the Hugging Face hub, and saved folders."""

from tutelage.models.factory import create_model, list_models
from tutelage.models.size import count_macs, parameter_count
from tutelage.models.spec import ModelSpec
from tutelage.models.storage import save_model
from tutelage.models.weights import load_weights, weights_hash

__all__ = [
    "ModelSpec",
    "count_macs",
    "create_model",
    "list_models",
    "load_weights",
    "parameter_count",
    "save_model",
    "weights_hash",
]
