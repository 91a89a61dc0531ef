"""Measure latency and peak memory."""

from tutelage.measure.latency import describe_machine, measure_latency, median_milliseconds
from tutelage.measure.memory import peak_bytes, reset_peak
from tutelage.measure.timing import DTYPES, wait

__all__ = [
    "DTYPES",
    "describe_machine",
    "measure_latency",
    "median_milliseconds",
    "peak_bytes",
    "reset_peak",
    "wait",
]
