"""Many runs and their statistics."""

from tutelage.study.quickstart import quickstart
from tutelage.study.table import Row, results_table, summarize

__all__ = ["Row", "quickstart", "results_table", "summarize"]
