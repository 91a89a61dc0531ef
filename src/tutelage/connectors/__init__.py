"""Student-side adapters of a term, built from probed shapes; trained with the student, dropped at the end."""

from tutelage.connectors.overhaul import ofd_connector
from tutelage.connectors.regressor import adapter, paper_regressor, projector, regressor

__all__ = ["adapter", "ofd_connector", "paper_regressor", "projector", "regressor"]
