"""How many hostile inputs there are, by group: docs/reliability.md gives these figures."""

from __future__ import annotations

from hostile.names import NAMES
from hostile.pictures import BOMBS, NO_IMAGES, TRUNCATED, UNUSUAL
from hostile.test_links import CIRCLES, NO_FILES, NOWHERE
from hostile.test_model_folders import LIES, TEXTS
from hostile.test_parquet import READ as PARQUET_READ
from hostile.test_parquet import REFUSED as PARQUET_REFUSED
from hostile.test_run_folders import BROKEN, RESUMED
from hostile.test_tar import READ as TAR_READ
from hostile.test_tar import REFUSED as TAR_REFUSED
from hostile.test_teachers import READ as TEACHERS_READ
from hostile.test_teachers import REFUSED as TEACHERS_REFUSED
from hostile.test_weights import CODE, CONVERTED, FILES
from hostile.test_words import WORDS
from hostile.test_yaml import FILES as YAML

COUNTS = {
    "images": len(BOMBS) + len(NO_IMAGES) + len(TRUNCATED) + len(UNUSUAL),
    "names": len(NAMES),
    "links and files that are none": len(CIRCLES) + len(NOWHERE) + len(NO_FILES),
    "parquet": len(PARQUET_REFUSED) + len(PARQUET_READ),
    "tar shards": len(TAR_REFUSED) + len(TAR_READ),
    "settings in YAML": len(YAML),
    "words after a verb": len(WORDS),
    "weights with code": len(CODE),
    "weights, other": len(FILES) + len(CONVERTED),
    "saved models that lie": len(LIES) + len(TEXTS),
    "run folders": len(BROKEN) + len(RESUMED),
    "teachers": len(TEACHERS_READ) + len(TEACHERS_REFUSED),
}


def test_there_are_at_least_two_hundred() -> None:
    assert sum(COUNTS.values()) >= 400, COUNTS
    assert min(COUNTS.values()) >= 10, COUNTS
