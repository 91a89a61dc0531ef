"""Measure the speed of training, compared with the time that its networks take alone."""

from tutelage.bench.report import Report, Setup, bench, prepare, table
from tutelage.bench.settings import BenchSettings
from tutelage.bench.timing import speed_ratio, take_turns

__all__ = ["BenchSettings", "Report", "Setup", "bench", "prepare", "speed_ratio", "table", "take_turns"]
