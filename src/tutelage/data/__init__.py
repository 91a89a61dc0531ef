"""Data: sets by name, folder, parquet, tar shards or from the hub; splits, views, loaders, normalisation."""

from tutelage.data.batch import Batch
from tutelage.data.cache import cache_folder
from tutelage.data.hashing import uniform
from tutelage.data.images import ImageData, Split
from tutelage.data.loader import EvalLoader, TrainLoader
from tutelage.data.mixing import Mixing
from tutelage.data.normalization import Normalization
from tutelage.data.opening import list_datasets, open_data
from tutelage.data.randaugment import RandAugment
from tutelage.data.samples import DecodedSamples, PackedSamples
from tutelage.data.settings import DataSettings
from tutelage.data.shards import Shrinking, write_shards
from tutelage.data.source import fingerprint_words
from tutelage.data.views import Views
from tutelage.data.workers import check_main_guard, explain_end

__all__ = [
    "Batch",
    "DataSettings",
    "DecodedSamples",
    "EvalLoader",
    "ImageData",
    "Mixing",
    "Normalization",
    "PackedSamples",
    "RandAugment",
    "Shrinking",
    "Split",
    "TrainLoader",
    "Views",
    "cache_folder",
    "check_main_guard",
    "explain_end",
    "fingerprint_words",
    "list_datasets",
    "open_data",
    "uniform",
    "write_shards",
]
