"""The input of a step: batches on the device, with their cached targets."""

from tutelage.training.feeding.feed import Fed, Stored, build_feed
from tutelage.training.feeding.targets import open_targets, targets_of

__all__ = [
    "Fed",
    "Stored",
    "build_feed",
    "open_targets",
    "targets_of",
]
