"""How fast training is, beside a plain loop and beside the least its networks can take."""

from tutelage.bench.report import Report, bench
from tutelage.bench.settings import BenchSettings

__all__ = ["BenchSettings", "Report", "bench"]
