"""Train many runs, compare them statistically, and search for settings."""

from tutelage.study.quickstart import conclusion, quickstart
from tutelage.study.search import Choice, Trial, choose, search
from tutelage.study.statistics import Difference, Row, against_alone, best_among, method_label, summarize
from tutelage.study.study import Study, read_study, study
from tutelage.study.table import NOTE, columns, comma_separated, markdown, terminal

__all__ = [
    "Choice",
    "Difference",
    "NOTE",
    "Row",
    "Study",
    "Trial",
    "against_alone",
    "best_among",
    "choose",
    "columns",
    "comma_separated",
    "conclusion",
    "markdown",
    "method_label",
    "quickstart",
    "read_study",
    "search",
    "study",
    "summarize",
    "terminal",
]
