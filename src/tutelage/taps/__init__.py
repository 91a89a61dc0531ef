"""Read activations of any network, and find and pair the levels of unknown networks."""

import warnings
from typing import Any

from tutelage.taps.batch_statistics import with_batch_statistics
from tutelage.taps.embedding import EMBEDDING, embedding_tap, pooled
from tutelage.taps.extraction import tapped
from tutelage.taps.folding import folded
from tutelage.taps.hooks import dry_run
from tutelage.taps.layout import as_map, laid_out
from tutelage.taps.libraries import leaves
from tutelage.taps.pairing import pair_levels
from tutelage.taps.points import TapPoint
from tutelage.taps.preactivation import before_activation, norm_before
from tutelage.taps.probe import Probe, find_levels, tap_points
from tutelage.taps.unregistered import set_unregistered, unregistered

__all__ = [
    "EMBEDDING",
    "Probe",
    "TapPoint",
    "as_map",
    "before_activation",
    "dry_run",
    "embedding_tap",
    "find_levels",
    "folded",
    "laid_out",
    "leaves",
    "norm_before",
    "pair_levels",
    "pooled",
    "set_unregistered",
    "tap_points",
    "tapped",
    "unregistered",
    "with_batch_statistics",
]

_RENAMED = {"find_stages": find_levels, "pair_stages": pair_levels}


def __getattr__(name: str) -> Any:
    """Return a function by its name before 0.2, which remains until 1.0."""
    if name not in _RENAMED:
        raise AttributeError(f"module 'tutelage.taps' has no attribute '{name}'")
    now = _RENAMED[name]
    warnings.warn(f"tutelage.taps.{name} is now tutelage.taps.{now.__name__}", DeprecationWarning, stacklevel=2)
    return now
