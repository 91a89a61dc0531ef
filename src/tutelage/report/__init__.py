"""Reports: what a run, or several, or a study came to, as one page that needs nothing beside it."""

from tutelage.report.write import ReportSettings, write_report

__all__ = ["ReportSettings", "write_report"]
