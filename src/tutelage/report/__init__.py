"""Reports of runs and studies as self-contained HTML pages."""

from tutelage.report.write import ReportSettings, write_report

__all__ = ["ReportSettings", "write_report"]
