"""Data sets by name, from folders, parquet files, tar shards or the hub; splits, views, loaders, normalization."""

from tutelage.data.hashing import bits, uniform
from tutelage.data.images import ImageData
from tutelage.data.loader import EvalLoader, Split, TrainLoader
from tutelage.data.opening import list_datasets, open_data
from tutelage.data.settings import DataSettings, Side
from tutelage.data.shard_writer import Shrinking, write_shards
from tutelage.data.source import PLAIN, Encoded, Rendering, Rows, fingerprint_words
from tutelage.data.sources.digits import load_digits
from tutelage.data.split import stratified
from tutelage.data.stored.derived import cache_folder
from tutelage.data.stored.samples import Batch, DecodedSamples, PackedSamples
from tutelage.data.views.mixing import Mixing
from tutelage.data.views.normalization import Normalization
from tutelage.data.views.randaugment import RandAugment
from tutelage.data.views.random_views import Views
from tutelage.data.visible_files import SUFFIXES, list_images
from tutelage.data.workers import check_main_guard

__all__ = [
    "Batch",
    "DataSettings",
    "DecodedSamples",
    "Encoded",
    "EvalLoader",
    "ImageData",
    "Mixing",
    "Normalization",
    "PLAIN",
    "PackedSamples",
    "RandAugment",
    "Rendering",
    "Rows",
    "SUFFIXES",
    "Shrinking",
    "Side",
    "Split",
    "TrainLoader",
    "Views",
    "bits",
    "cache_folder",
    "check_main_guard",
    "fingerprint_words",
    "list_datasets",
    "list_images",
    "load_digits",
    "open_data",
    "stratified",
    "uniform",
    "write_shards",
]
