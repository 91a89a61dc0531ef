"""Student-side adapters that map student features to the shape of the teacher's.

They are built from probed shapes and trained with the student. Most are dropped after training; those of SimKD and NORM
are deployed with the student.
"""

from tutelage.connectors.boundary import ab_connector
from tutelage.connectors.class_means import ClassMeans
from tutelage.connectors.classified import Classified, FrozenClassifier
from tutelage.connectors.crd import CRDContrast, CRDEmbedding, CRDMemory
from tutelage.connectors.factors import Paraphraser, translator
from tutelage.connectors.mgd import MGDGenerator
from tutelage.connectors.norm import NormConnector
from tutelage.connectors.ofa import OFAExits
from tutelage.connectors.overhaul import ofd_connector
from tutelage.connectors.pefd import ProjectorEnsemble
from tutelage.connectors.regressor import adapter, paper_regressor, projector, regressor
from tutelage.connectors.reviewkd import ReviewKDConnector
from tutelage.connectors.semckd import SemCKDConnector
from tutelage.connectors.simkd import simkd_projector
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
    "NormConnector",
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
    "simkd_projector",
    "srrl_connector",
    "translator",
]
