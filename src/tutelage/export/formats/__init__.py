"""Export formats, one per file."""

from tutelage.export.formats.register import FORMATS

__all__ = [
    "FORMATS",
]
