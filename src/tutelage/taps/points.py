"""What is known of a place in a network that can be tapped."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

# Sigmoids are left out: in image networks they are gates, not activations.
_ACTIVATIONS = {
    *("relu", "relu6", "leakyrelu", "prelu", "rrelu", "elu", "celu", "selu", "gelu", "gelutanh", "quickgelu", "mish"),
    *("silu", "swish", "hardswish", "hardswishme", "swishme", "hardmish", "hardtanh", "tanh", "softplus"),
}


@dataclass(frozen=True)
class TapPoint:
    """A place that can be tapped.

    name: what ``tapped`` takes.  shape: without the batch, (C, H, W) where ``as_map`` gives a map.
    operation: class of the module or name of the function.
    level: number of the level it lies in, from 0; None behind the last.
    activation: "before" if the value feeds an activation function, "after" if one made it, else "".
    """

    name: str
    shape: tuple[int, ...]
    operation: str
    level: int | None = None
    activation: str = ""

    @property
    def stage(self) -> int | None:
        """Deprecated name of ``level``, until 1.0."""
        warnings.warn("TapPoint.stage is now TapPoint.level", DeprecationWarning, stacklevel=2)
        return self.level


@dataclass(frozen=True)
class Observation:
    """A point with what the search for levels needs: is it a module, a container, and what entered it."""

    point: TapPoint
    module: str | None
    container: bool
    tokens: bool
    from_image: bool
    source_shape: tuple[int, ...] | None


def is_activation(operation: str) -> bool:
    """Tells whether a class of modules, or a function, of this name is an activation function."""
    return operation.replace("_", "").lower() in _ACTIVATIONS
