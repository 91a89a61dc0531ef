"""Student-side adapters that map student features to the shape of the teacher's.

They are built from probed shapes, trained with the student, and dropped after training. What stays in the student is in
``models``, see ``models.extended``.
"""

from tutelage.connectors.boundary import ab_connector
from tutelage.connectors.class_means import ClassMeans
from tutelage.connectors.classified import Classified, FrozenClassifier
from tutelage.connectors.crd import CRDContrast, CRDEmbedding, CRDMemory
from tutelage.connectors.factors import Paraphraser, translator
from tutelage.connectors.mgd import MGDGenerator
from tutelage.connectors.ofa import OFAExits
from tutelage.connectors.overhaul import ofd_connector
from tutelage.connectors.pefd import ProjectorEnsemble
from tutelage.connectors.regressor import adapter, paper_regressor, projector, regressor
from tutelage.connectors.reviewkd import ReviewKDConnector
from tutelage.connectors.semckd import SemCKDConnector
from tutelage.connectors.srrl import srrl_connector
from tutelage.connectors.temperature import GlobalTemperature, InstanceTemperature, scale_gradient
from tutelage.connectors.vid import VIDRegressor
from tutelage.connectors.vitkd import ViTKDConnector
from tutelage.connectors.vkd import orthogonal_projector

__all__ = [
    "CRDContrast",
    "CRDEmbedding",
    "CRDMemory",
    "ClassMeans",
    "Classified",
    "FrozenClassifier",
    "GlobalTemperature",
    "InstanceTemperature",
    "MGDGenerator",
    "OFAExits",
    "Paraphraser",
    "ProjectorEnsemble",
    "ReviewKDConnector",
    "SemCKDConnector",
    "VIDRegressor",
    "ViTKDConnector",
    "ab_connector",
    "adapter",
    "ofd_connector",
    "orthogonal_projector",
    "paper_regressor",
    "projector",
    "regressor",
    "scale_gradient",
    "srrl_connector",
    "translator",
]
