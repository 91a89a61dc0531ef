"""Student-side adapters that map student features to the shape of the teacher's.

They are built from probed shapes, trained with the student and dropped after training.
"""

from tutelage.connectors.class_means import ClassMeans
from tutelage.connectors.mgd import MGDGenerator
from tutelage.connectors.norm import NormConnector
from tutelage.connectors.overhaul import ofd_connector
from tutelage.connectors.regressor import adapter, paper_regressor, projector, regressor
from tutelage.connectors.temperature import GlobalTemperature, InstanceTemperature, scale_gradient

__all__ = [
    "ClassMeans",
    "GlobalTemperature",
    "InstanceTemperature",
    "adapter",
    "ofd_connector",
    "paper_regressor",
    "projector",
    "regressor",
    "scale_gradient",
]
from tutelage.connectors.reviewkd import ReviewKDConnector
from tutelage.connectors.semckd import SemCKDConnector
from tutelage.connectors.simkd import simkd_projector

__all__ = [
    "MGDGenerator",
    "NormConnector",
    "ReviewKDConnector",
    "SemCKDConnector",
    "adapter",
    "ofd_connector",
    "paper_regressor",
    "projector",
    "regressor",
    "simkd_projector",
]
