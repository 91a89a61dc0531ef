"""Image classifiers of torchvision (``torchvision/NAME``)."""

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
#: These two can normalise their input anew inside, and return more than the logits in train mode. Here they do neither.
_INCEPTIONS = ("googlenet", "inception_v3")


def torchvision_names() -> list[str]:
    """Returns the names of torchvision's image classifiers (no detectors, segmenters, video or quantised models)."""
    return torchvision.models.list_models(module=torchvision.models)


def build_torchvision(name: str, num_classes: int | None, weights: str | None) -> tuple[nn.Module, ModelSpec]:
    """Builds ``torchvision/NAME``; where ``num_classes`` is not that of the weights, the head is new and random.

    Args:
        name: with its prefix.
        num_classes: width of the logits; None: 1000.
        weights: None: random; "pretrained": the default member of the model's weights; or a member's name.

    Raises:
        TutelageError: torchvision has no such classifier or weights, or they cannot be downloaded.
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
    # Without weights the preprocessing is still that of the default ones: what such a model is usually given.
    preprocessing = (chosen or members.DEFAULT).transforms()
    inception = architecture in _INCEPTIONS
    size = preprocessing.crop_size[0]
    categories = chosen.meta["categories"] if chosen else []
    return model, ModelSpec(
        name=name,
        num_classes=num_classes,
        input_size=(size, size),
        # The inner normalisation of the pretrained inceptions, (x·std + mean − 0.5) / 0.5, amounts to this.
        mean=(0.5, 0.5, 0.5) if inception else tuple(preprocessing.mean),
        std=(0.5, 0.5, 0.5) if inception else tuple(preprocessing.std),
        classes=tuple(categories) if len(categories) == num_classes else None,
        source=chosen.name if chosen else "random",
    )


def rebuild_torchvision(architecture: str, num_classes: int, arguments: dict[str, Any]) -> nn.Module:
    """Builds a torchvision classifier, randomly initialised, with what ``torchvision_arguments`` returned of another.

    Raises:
        TutelageError: this version of torchvision has no such classifier.
    """
    _check_name(TORCHVISION + architecture, architecture)
    if architecture in _INCEPTIONS:
        arguments = {**arguments, "aux_logits": False, "transform_input": False, "init_weights": True}
    return torchvision.models.get_model(architecture, weights=None, num_classes=num_classes, **arguments)


def torchvision_arguments(model: nn.Module) -> dict[str, Any]:
    """Returns the constructor arguments beside the class count that decide the shapes of the model's weights."""
    return {"image_size": model.image_size} if isinstance(model, VisionTransformer) else {}


def _check_name(name: str, architecture: str) -> None:
    known = torchvision_names()
    if architecture in known:
        return
    if architecture in torchvision.models.list_models():
        raise TutelageError(f"model '{name}': not an image classifier; list_models() has those of torchvision")
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
    """Copies what fits of the pretrained model into a fresh one, whose head stays random where the classes differ."""
    with downloading(name, _CACHE, "give weights=PATH of a weights file of this model"):
        # torchvision would unpickle a file in the cache unchecked: this downloads it, and makes sure it holds no code.
        try:
            weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
        except pickle.UnpicklingError as error:
            raise TutelageError(
                f"model '{name}': its weights in the cache ({_CACHE}) are not a safe weights file; nothing in it was "
                f"run. Delete {weights.url.rpartition('/')[2]} there, to have it downloaded again"
            ) from error
    reference = torchvision.models.get_model(architecture, weights=weights)
    model = rebuild_torchvision(architecture, num_classes, torchvision_arguments(reference))
    theirs = reference.state_dict()
    for key, value in model.state_dict().items():
        if value.shape == theirs[key].shape:
            value.copy_(theirs[key])
    return model
