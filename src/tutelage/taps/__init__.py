"""Reading activations out of any network, and finding and pairing the stages of networks never seen before."""

from tutelage.taps.batch_statistics import with_batch_statistics
from tutelage.taps.extraction import tapped
from tutelage.taps.folding import folded
from tutelage.taps.hooks import dry_run
from tutelage.taps.layout import as_map, laid_out
from tutelage.taps.libraries import leaves
from tutelage.taps.pairing import pair_stages
from tutelage.taps.points import TapPoint
from tutelage.taps.preactivation import before_activation, norm_before
from tutelage.taps.probe import Probe, find_stages, tap_points

__all__ = [
    "Probe",
    "TapPoint",
    "as_map",
    "before_activation",
    "dry_run",
    "find_stages",
    "folded",
    "laid_out",
    "leaves",
    "norm_before",
    "pair_stages",
    "tap_points",
    "tapped",
    "with_batch_statistics",
]
