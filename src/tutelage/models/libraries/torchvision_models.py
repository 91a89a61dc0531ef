"""torchvision's image classifiers (``torchvision/NAME``)."""

from __future__ import annotations

import pickle
from typing import Any

import torchvision
from torch import nn
from torchvision.models import VisionTransformer, WeightsEnum

from tutelage.errors import TutelageError, nearest, unknown
from tutelage.models.libraries.downloads import downloading
from tutelage.models.spec import TORCHVISION, ModelSpec

_CACHE = "TORCH_HOME, by default ~/.cache/torch"
#: By default these two may normalize their input again and return auxiliary outputs in train mode; both are disabled.
_INCEPTIONS = ("googlenet", "inception_v3")


def torchvision_names() -> list[str]:
    """Return the names of torchvision's image classifiers (no detection, segmentation, video or quantized models)."""
    return torchvision.models.list_models(module=torchvision.models)


def build_torchvision(name: str, num_classes: int | None, weights: str | None) -> tuple[nn.Module, ModelSpec]:
    """Build ``torchvision/NAME``; the head is new and random if ``num_classes`` differs from the weights.

    Args:
        name: Name with its prefix.
        num_classes: Number of logits. None means 1000.
        weights: None for random, "pretrained" for the model's default weights, or the name of a weights member.

    Raises:
        TutelageError: If torchvision has no such classifier or weights, or they cannot be downloaded.
    """
    architecture = name.removeprefix(TORCHVISION)
    _check_name(name, architecture)
    members = torchvision.models.get_model_weights(architecture)
    chosen = None if weights is None else _member(name, members, weights)
    num_classes = 1000 if num_classes is None else num_classes
    if chosen is None:
        model = rebuild_torchvision(architecture, num_classes, {})
    else:
        model = _pretrained(name, architecture, num_classes, chosen)
    # Without weights, the preprocessing of the default weights is still the usual choice.
    preprocessing = (chosen or members.DEFAULT).transforms()
    inception = architecture in _INCEPTIONS
    size = preprocessing.crop_size[0]
    categories = chosen.meta["categories"] if chosen else []
    return model, ModelSpec(
        name=name,
        num_classes=num_classes,
        input_size=(size, size),
        # This equals the inner normalization of the pretrained inception models, (x·std + mean − 0.5) / 0.5.
        mean=(0.5, 0.5, 0.5) if inception else tuple(preprocessing.mean),
        std=(0.5, 0.5, 0.5) if inception else tuple(preprocessing.std),
        classes=tuple(categories) if len(categories) == num_classes else None,
        source=chosen.name if chosen else "random",
    )


def rebuild_torchvision(architecture: str, num_classes: int, arguments: dict[str, Any]) -> nn.Module:
    """Build a torchvision classifier with random weights and the ``torchvision_arguments`` of another one.

    Raises:
        TutelageError: If this version of torchvision has no such classifier.
    """
    _check_name(TORCHVISION + architecture, architecture)
    if architecture in _INCEPTIONS:
        arguments = {**arguments, "aux_logits": False, "transform_input": False, "init_weights": True}
    return torchvision.models.get_model(architecture, weights=None, num_classes=num_classes, **arguments)


def torchvision_arguments(model: nn.Module) -> dict[str, Any]:
    """Return the constructor arguments, besides the number of classes, that determine the shapes of the weights."""
    return {"image_size": model.image_size} if isinstance(model, VisionTransformer) else {}


def _check_name(name: str, architecture: str) -> None:
    known = torchvision_names()
    if architecture in known:
        return
    if architecture in torchvision.models.list_models():
        raise TutelageError(f"model '{name}': not an image classifier; see list_models() for those of torchvision")
    close = nearest(architecture, known) or known
    raise TutelageError(
        f"unknown model '{name}': torchvision {torchvision.__version__} has no '{architecture}'; "
        f"did you mean {' or '.join(TORCHVISION + other for other in close)}?"
    )


def _member(name: str, members: type[WeightsEnum], weights: str) -> WeightsEnum:
    if weights == "pretrained":
        return members.DEFAULT
    member = weights.removeprefix(f"{members.__name__}.")
    if member not in members.__members__:
        raise unknown(f"weights of {name}", weights, ["pretrained", *(m.name for m in members)])
    return members[member]


def _pretrained(name: str, architecture: str, num_classes: int, weights: WeightsEnum) -> nn.Module:
    """Build the model and copy all pretrained weights that fit; the head stays random if the classes differ."""
    with downloading(name, _CACHE, "set weights=PATH to a weights file of this model"):
        # torchvision would unpickle a cached file unchecked. This downloads it and rejects files that contain code.
        try:
            weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
        except pickle.UnpicklingError as error:
            raise TutelageError(
                f"model '{name}': its weights in the cache ({_CACHE}) are not a safe weights file, so no code in it "
                f"was run; delete {weights.url.rpartition('/')[2]} there to download it again"
            ) from error
    reference = torchvision.models.get_model(architecture, weights=weights)
    model = rebuild_torchvision(architecture, num_classes, torchvision_arguments(reference))
    theirs = reference.state_dict()
    for key, value in model.state_dict().items():
        if value.shape == theirs[key].shape:
            value.copy_(theirs[key])
    return model
