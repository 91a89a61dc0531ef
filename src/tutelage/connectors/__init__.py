"""Student-side adapters of a term, built from probed shapes; trained with the student, dropped at the end."""

from tutelage.connectors.regressor import AsMap, projector, regressor

__all__ = ["AsMap", "projector", "regressor"]
