"""Stored images: decoding, cropping, memory maps and files in the cache."""

from tutelage.data.stored.crops import Framing
from tutelage.data.stored.decode import UNREADABLE, decode, read_image
from tutelage.data.stored.samples import DecodedSamples, PackedSamples

__all__ = [
    "DecodedSamples",
    "Framing",
    "PackedSamples",
    "UNREADABLE",
    "decode",
    "read_image",
]
