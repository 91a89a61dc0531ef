"""The target cache: the teacher's targets for the terms of a stage, one record per sample and view.

    FOLDER/KEY/identity.json               everything that the targets depend on
    FOLDER/KEY/TARGET/VIEW/SHARD.npy       records, indexed by sample

``KEY`` is a hash of the identity: data, teacher, its preprocessing and precision, the views, and the version of
tutelage. Runs with the same identity share the records, whatever their seed, method and student.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tutelage.data import cache_folder, fingerprint_words
from tutelage.distillation.cache.encoding import Dense, Encoding, TopK
from tutelage.distillation.cache.records import CHECKSUM_BYTES, Records
from tutelage.distillation.cache.settings import CacheSettings
from tutelage.errors import TutelageError
from tutelage.terms import Kept, Term

Rows = npt.NDArray[np.int64]


class TargetCache:
    """The stored targets of one identity.

    A folder with the same key but another identity is removed with a warning.

    Args:
        settings: The format and folder of the targets.
        identity: Everything that the targets depend on, as values that JSON can represent.
        rows: The number of samples; their indices are below it.

    Raises:
        TutelageError: If the folder cannot be read or created.
    """

    def __init__(self, settings: CacheSettings, identity: Mapping[str, object], rows: int) -> None:
        self.settings = settings
        self.rows = rows
        text = json.dumps(identity, indent=2, sort_keys=True)
        above = settings.folder or cache_folder() / "targets"
        self.folder = above / fingerprint_words(text)[:24]
        path = self.folder / "identity.json"
        try:
            # If the file is missing, another process may be about to write it.
            if path.is_file() and path.read_text(encoding="utf-8") != text:
                self.discard("it belongs to another teacher or other views")
            if not path.is_file():
                self.folder.mkdir(parents=True, exist_ok=True)
                partial = path.with_suffix(f".{os.getpid()}")
                partial.write_text(text, encoding="utf-8")
                partial.replace(path)
        except OSError as error:
            raise TutelageError(
                f"the target cache {self.folder} cannot be used ({error.strerror}); set cache.folder to another place"
            ) from None

    def discard(self, reason: str) -> None:
        """Remove all records, with a warning that names the reason."""
        warnings.warn(f"rebuilding the target cache {self.folder}: {reason}", stacklevel=2)
        # Rename first, so that another run that discards the same cache now does not delete new records.
        aside = self.folder.with_name(f".discarded-{self.folder.name}-{os.getpid()}")
        with suppress(FileNotFoundError):
            self.folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)

    def encoding(self, kept: Kept, shape: tuple[int, ...]) -> Encoding:
        """Return the encoding of a target of ``shape``."""
        settings = self.settings
        if kept.kind == "logits" and settings.top_k is not None:
            return TopK(shape[0], settings.top_k, settings.dtype)
        return Dense(shape, settings.dtype)


class StoredTargets:
    """The stored targets of one stage's terms, in the order of the terms.

    Args:
        cache: The cache that holds the records.
        terms: The stage's terms; each term that reads the teacher declares its target as ``term.kept``
            (:class:`Kept`).
        shapes: Shapes of the terms' targets, without the batch dimension.
    """

    def __init__(self, cache: TargetCache, terms: Sequence[Term], shapes: Sequence[tuple[int, ...]]) -> None:
        self.cache = cache
        self._terms = terms
        self._encodings = {
            place: cache.encoding(term.kept, shape)
            for place, (term, shape) in enumerate(zip(terms, shapes))
            if term.kept is not None
        }
        self._open: dict[tuple[int, int], Records] = {}

    @property
    def record_bytes(self) -> int:
        """Bytes per sample and view, including checksums."""
        shared = {self._terms[place].kept: encoding for place, encoding in self._encodings.items()}
        return sum(encoding.record_bytes + CHECKSUM_BYTES for encoding in shared.values())

    def read(self, view: int, rows: Rows) -> list[Tensor] | None:
        """Return the targets of samples ``rows`` (B,) at ``view``, in float32 on the CPU, or None if any is missing."""
        targets: list[Any] = []
        for place, term in enumerate(self._terms):
            stored = self._records(place, view).read(rows) if place in self._encodings else term.target({})
            if stored is None:
                return None
            targets.append(stored)
        return targets

    def write(self, view: int, rows: Rows, targets: Sequence[Tensor]) -> None:
        """Store the targets of samples ``rows`` (B,) at ``view``.

        Raises:
            TutelageError: If the encoding cannot represent a value, or the disk is full; the message names the term.
        """
        for place in self._encodings:
            try:
                self._records(place, view).write(rows, targets[place])
            except TutelageError as error:
                raise TutelageError(f"{self._terms[place].name}: {error}") from None

    def rounded(self, targets: Sequence[Tensor]) -> list[Tensor]:
        """Return ``targets`` as they would be read back, rounded and on the CPU."""
        return [
            self._encodings[place].decode(self._encodings[place].encode(target)) if place in self._encodings else target
            for place, target in enumerate(targets)
        ]

    def present(self, view: int, rows: Rows) -> npt.NDArray[np.bool_]:
        """Return a mask (B,) of the ``rows`` (B,) whose targets are all stored at ``view``."""
        masks = [self._records(place, view).present(rows) for place in self._encodings]
        return np.logical_and.reduce(masks)

    def changed(self, stored: Sequence[Tensor], computed: Sequence[Tensor], tolerance: float) -> str | None:
        """Return the name of the first term whose stored and computed targets differ, or None if all agree.

        Args:
            stored: Targets read from the cache.
            computed: Targets that the teacher computed now.
            tolerance: Largest allowed error, relative to the largest value of a target.
        """
        again = self.rounded(computed)
        for place, encoding in self._encodings.items():
            old, new = stored[place], again[place]
            if isinstance(encoding, TopK):
                # If two logits are nearly equal, either class may be among the k.
                old, new = old.sort(1).values, new.sort(1).values
            largest = new.nan_to_num(0.0, 0.0, 0.0).abs().amax().item()
            if not torch.allclose(old, new, rtol=0, atol=tolerance * largest, equal_nan=True):
                return self._terms[place].name
        return None

    def _records(self, place: int, view: int) -> Records:
        if (place, view) not in self._open:
            # Keep only one view open: there may be hundreds, and every open file takes a descriptor.
            self._open = {key: records for key, records in self._open.items() if key[1] == view}
            kept, encoding = self._terms[place].kept, self._encodings[place]
            assert kept is not None
            name = f"{kept.name.partition('(')[0]}-{fingerprint_words(kept.name, encoding)[:12]}"
            folder = self.cache.folder / name / f"{view:05}"
            self._open[place, view] = Records(folder, self.cache.rows, encoding)
        return self._open[place, view]
