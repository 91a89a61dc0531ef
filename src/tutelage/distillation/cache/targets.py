"""The target cache: what the terms of a stage keep of the teacher, stored a record a sample and view, and read back.

    FOLDER/KEY/identity.json               what the targets are functions of
    FOLDER/KEY/TARGET/VIEW/SHARD.npy       records, by the sample's index

``KEY`` is a hash of the identity: data, teacher, its preprocessing, the views, the precision it ran in, this version.
Runs of any seed, method and student that share these share the records too.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress

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

    Args:
        settings: how targets are stored, and where.
        identity: all that the targets are functions of, in values that JSON keeps.
        rows: the number of samples that an index may name.

    A folder of the same key that says it is of something else is foreign: it is removed, with a warning.
    """

    def __init__(self, settings: CacheSettings, identity: Mapping[str, object], rows: int) -> None:
        self.settings = settings
        self.rows = rows
        text = json.dumps(identity, indent=2, sort_keys=True)
        above = settings.folder or cache_folder() / "targets"
        self.folder = above / fingerprint_words(text)[:24]
        path = self.folder / "identity.json"
        try:
            # Where there is none yet, another process is about to put it there.
            if path.is_file() and path.read_text(encoding="utf-8") != text:
                self.discard("it does not say that it belongs to this teacher and these views")
            if not path.is_file():
                self.folder.mkdir(parents=True, exist_ok=True)
                partial = path.with_suffix(f".{os.getpid()}")
                partial.write_text(text, encoding="utf-8")
                partial.replace(path)
        except OSError as error:
            raise TutelageError(
                f"the target cache {self.folder} cannot be used ({error.strerror}): give cache.folder=… elsewhere"
            ) from None

    def discard(self, reason: str) -> None:
        """Removes all records, with a warning that says why."""
        warnings.warn(f"the target cache {self.folder} is not used, and made anew: {reason}", stacklevel=2)
        # Renamed first: another run that finds the same at this moment loses nothing by it.
        aside = self.folder.with_name(f".discarded-{self.folder.name}-{os.getpid()}")
        with suppress(FileNotFoundError):
            self.folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)

    def encoding(self, kept: Kept, shape: tuple[int, ...]) -> Encoding:
        """Returns how a target becomes a record."""
        settings = self.settings
        if kept.kind == "logits" and settings.top_k is not None:
            return TopK(shape[0], settings.top_k, settings.dtype)
        return Dense(shape, settings.dtype)


class StoredTargets:
    """The targets of one stage's terms, in the order of the terms; ``shapes`` are theirs, without the batch.

    Every term that reads the teacher has to say what it keeps (:class:`Kept`).
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
        """Bytes a sample and view take, checksums included."""
        return sum(encoding.record_bytes + CHECKSUM_BYTES for encoding in self._encodings.values())

    def read(self, view: int, rows: Rows) -> list[Tensor] | None:
        """Returns the targets of samples ``rows`` (B,) at ``view``, float32, on the host; None where one is missing."""
        targets = []
        for place, term in enumerate(self._terms):
            stored = self._records(place, view).read(rows) if place in self._encodings else term.target({})
            if stored is None:
                return None
            targets.append(stored)
        return targets

    def write(self, view: int, rows: Rows, targets: Sequence[Tensor]) -> None:
        """Stores the targets of samples ``rows`` (B,) at ``view``."""
        for place in self._encodings:
            try:
                self._records(place, view).write(rows, targets[place])
            except TutelageError as error:
                raise TutelageError(f"the target of {self._terms[place].name}: {error}") from None

    def rounded(self, targets: Sequence[Tensor]) -> list[Tensor]:
        """Returns ``targets`` as they would be read, on the host."""
        return [
            self._encodings[place].decode(self._encodings[place].encode(target)) if place in self._encodings else target
            for place, target in enumerate(targets)
        ]

    def present(self, view: int, rows: Rows) -> npt.NDArray[np.bool_]:
        """Returns which of ``rows`` have all their targets stored at ``view``, (B,)."""
        masks = [self._records(place, view).present(rows) for place in self._encodings]
        return np.logical_and.reduce(masks)

    def changed(self, stored: Sequence[Tensor], computed: Sequence[Tensor], tolerance: float) -> str | None:
        """Returns the first term whose ``stored`` targets are off from those ``computed``; None where all are right.

        ``tolerance`` is the largest error against the largest value of a target.
        """
        again = self.rounded(computed)
        for place, encoding in self._encodings.items():
            old, new = stored[place], again[place]
            if isinstance(encoding, TopK):
                # Of two classes nearly alike either may be among the k.
                old, new = old.sort(1).values, new.sort(1).values
            largest = new.nan_to_num(0.0, 0.0, 0.0).abs().amax().item()
            if not torch.allclose(old, new, rtol=0, atol=tolerance * largest, equal_nan=True):
                return self._terms[place].name
        return None

    def _records(self, place: int, view: int) -> Records:
        if (place, view) not in self._open:
            # Every open file takes a descriptor, and there may be hundreds of views.
            self._open = {key: records for key, records in self._open.items() if key[1] == view}
            kept, encoding = self._terms[place].kept, self._encodings[place]
            assert kept is not None
            name = f"{kept.name.partition('(')[0]}-{fingerprint_words(kept.name, encoding)[:12]}"
            folder = self.cache.folder / name / f"{view:05}"
            self._open[place, view] = Records(folder, self.cache.rows, encoding)
        return self._open[place, view]
