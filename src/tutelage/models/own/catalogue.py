"""tutelage's own networks by name: all registered ones, and wide ResNets of any size."""

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
    """Return whether tutelage defines the network.

    Raises:
        TutelageError: If the name is ``wrn_D_K`` with an invalid depth or width.
    """
    return name in networks or parse_wrn(name) is not None


def build_own(name: str, num_classes: int) -> nn.Module:
    """Build the network with random weights.

    Raises:
        TutelageError: If there is no such network.
    """
    size = parse_wrn(name)
    return networks[name](num_classes) if size is None else WideResNet(*size, num_classes)
