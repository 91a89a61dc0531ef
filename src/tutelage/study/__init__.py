"""Many runs and their statistics."""

from tutelage.study.quickstart import quickstart
from tutelage.study.statistics import Difference, Row, best_among, summarize
from tutelage.study.study import Study, read_study, study
from tutelage.study.table import columns, comma_separated, markdown, terminal

__all__ = [
    "Difference",
    "Row",
    "Study",
    "best_among",
    "columns",
    "comma_separated",
    "markdown",
    "quickstart",
    "read_study",
    "study",
    "summarize",
    "terminal",
]
