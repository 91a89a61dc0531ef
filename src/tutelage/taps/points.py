"""Points of a network that can be tapped."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

# Without sigmoids, which are gates in image networks, not activations.
_ACTIVATIONS = {
    *("relu", "relu6", "leakyrelu", "prelu", "rrelu", "elu", "celu", "selu", "gelu", "gelutanh", "quickgelu", "mish"),
    *("silu", "swish", "hardswish", "hardswishme", "swishme", "hardmish", "hardtanh", "tanh", "softplus"),
}


@dataclass(frozen=True)
class TapPoint:
    """Point of a network that can be tapped.

    Attributes:
        name: Tap, as passed to ``tapped``.
        shape: Shape of the features without the batch, (C, H, W) for maps (see ``as_map``).
        operation: Class of the module or name of the function.
        level: Number of the level that the point belongs to, from 0. None after the last level.
        activation: "before" if the value is the input of an activation function, "after" if it is the output of one,
            "" otherwise.

    Example:
        >>> from tutelage import create_model
        >>> from tutelage.taps import tap_points
        >>> tap_points(create_model("resnet8"), (32, 32))[1]
        TapPoint(name='bn1', shape=(16, 32, 32), operation='BatchNorm2d', level=0, activation='before')
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
    """Point with the properties that the search for levels needs.

    Attributes:
        point: The point.
        module: Path of the module, or None for a function.
        container: Whether the module is made of layers.
        tokens: Whether the features are three-dimensional, (B, N, C).
        from_image: Whether the module's input is the image.
        source_shape: Shape of the module's input without the batch, or None.
    """

    point: TapPoint
    module: str | None
    container: bool
    tokens: bool
    from_image: bool
    source_shape: tuple[int, ...] | None


def is_activation(operation: str) -> bool:
    """Return whether a module class or function of this name is an activation function."""
    return operation.replace("_", "").lower() in _ACTIVATIONS
