"""This package's own networks by name: those registered, and any size of a family named by its sizes."""

from __future__ import annotations

from torch import nn

from tutelage.models.own import (  # noqa: F401  (each registers its networks)
    cifar_resnet,
    fitnet,
    mobilenet_v1,
    mobilenet_v2,
    plain_cnn,
    pyramidnet,
    residual_cnn,
    resnet,
    shufflenet_v1,
    shufflenet_v2,
    stagewise_resnet,
    vgg,
)
from tutelage.models.own.register import networks
from tutelage.models.own.wrn import WideResNet, parse_wrn


def is_own(name: str) -> bool:
    """Tells whether this package defines the network.

    Raises:
        TutelageError: ``wrn_D_K`` with a depth or width that such networks cannot have.
    """
    return name in networks or parse_wrn(name) is not None


def build_own(name: str, num_classes: int) -> nn.Module:
    """Builds the network, randomly initialised.

    Raises:
        TutelageError: there is no such network.
    """
    size = parse_wrn(name)
    return networks[name](num_classes) if size is None else WideResNet(*size, num_classes)
