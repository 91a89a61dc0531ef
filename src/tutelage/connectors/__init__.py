"""Student-side adapters that map student features to the shape of the teacher's.

They are built from probed shapes, trained with the student and dropped after training.
"""

from tutelage.connectors.boundary import ab_connector
from tutelage.connectors.crd import CRDContrast, CRDEmbedding, CRDMemory
from tutelage.connectors.factors import Paraphraser, translator
from tutelage.connectors.overhaul import ofd_connector
from tutelage.connectors.pefd import ProjectorEnsemble
from tutelage.connectors.regressor import adapter, paper_regressor, projector, regressor
from tutelage.connectors.srrl import srrl_connector
from tutelage.connectors.vid import VIDRegressor

__all__ = [
    "CRDContrast",
    "CRDEmbedding",
    "CRDMemory",
    "Paraphraser",
    "ProjectorEnsemble",
    "VIDRegressor",
    "ab_connector",
    "adapter",
    "ofd_connector",
    "paper_regressor",
    "projector",
    "regressor",
    "srrl_connector",
    "translator",
]
