"""Data sets on the Hugging Face hub: list a repository, and download its files or parts of them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tutelage.data.source import Source
from tutelage.data.sources.parquet import read_parquet
from tutelage.data.sources.tar import read_tar
from tutelage.data.sources.tar_index import INDEX
from tutelage.data.stored.derived import cache_folder
from tutelage.errors import TutelageError

CLASSES = ("classes.json", "classes.txt")
"""Files with the class names of tar shards."""


@dataclass(frozen=True)
class Repository:
    """Repository of a data set at one commit, so that its files do not change."""

    name: str
    version: str
    """Hash of the commit."""
    sizes: dict[str, int]
    """Size of each file in bytes."""

    def files(self, suffix: str) -> list[str]:
        """Return the files with this suffix, sorted."""
        return sorted(name for name in self.sizes if name.endswith(suffix))

    def download(self, names: Sequence[str]) -> Path:
        """Download files to Hugging Face's cache unless they are in it, and return their folder."""
        from huggingface_hub import snapshot_download

        with _explained(self.name):
            folder = Path(snapshot_download(self.name, allow_patterns=list(names), **self._place))
        missing = next((name for name in names if not (folder / name).is_file()), None)
        if missing is not None:  # without a connection, snapshot_download returns an incomplete folder
            raise _not_here(self.name, f"the cache lacks {missing}")
        return folder

    @contextmanager
    def parquet(self, name: str) -> Iterator[pq.ParquetFile]:
        """Open a parquet file inside the block. Only the parts that are read are downloaded."""
        from huggingface_hub import HfFileSystem

        files = HfFileSystem(endpoint=_endpoint())
        with (
            _explained(self.name),
            files.open(f"datasets/{self.name}@{self.version}/{name}", cache_type="none") as file,
        ):
            yield pq.ParquetFile(file)

    def bring(self, name: str, folder: Path) -> Path:
        """Download a file to ``folder`` instead of Hugging Face's cache, and return its path."""
        from huggingface_hub import hf_hub_download
        from huggingface_hub.utils import disable_progress_bars

        disable_progress_bars()  # the bars of several processes would overwrite each other
        with _explained(self.name):
            return Path(hf_hub_download(self.name, name, local_dir=folder, **self._place))

    @property
    def _place(self) -> dict[str, Any]:
        return {"repo_type": "dataset", "revision": self.version, "endpoint": _endpoint()}


def is_repository(name: str) -> bool:
    """Return whether a name has the form USER/NAME."""
    return re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name) is not None


def look_up(name: str) -> Repository:
    """Return the current state of a data set's repository, or the last known one if the hub is unreachable.

    Raises:
        TutelageError: If there is no such repository, or the hub is unreachable and no earlier state is known.
    """
    from huggingface_hub import HfApi

    kept = cache_folder() / "hub" / f"{name.replace('/', '--')}.json"
    try:
        with _explained(name):
            info = HfApi(endpoint=_endpoint()).dataset_info(name, files_metadata=True)
    except _Unreachable:
        if not kept.is_file():
            raise
        return Repository(**json.loads(kept.read_text("utf-8")))
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
    repository = Repository(name, info.sha or "main", sizes)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(asdict(repository)), encoding="utf-8")
    return repository


def read_repository(name: str) -> Source:
    """Download the parquet files or tar shards of USER/NAME to Hugging Face's cache, and read them."""
    repository = look_up(name)
    parquet = repository.files(".parquet")
    if parquet:
        source = read_parquet(repository.download(parquet))
    else:
        shards = tar_shards(repository)
        others = [file for file in (INDEX, *CLASSES) if file in repository.sizes]
        source = read_tar(repository.download([*shards, *others]))
    return replace(source, name=name.rpartition("/")[2])


def tar_shards(repository: Repository) -> list[str]:
    """Return the tar files of a repository without parquet files.

    Raises:
        TutelageError: If there are none.
    """
    shards = repository.files(".tar")
    if not shards:
        found = ", ".join(sorted(repository.sizes)[:5]) or "nothing"
        raise TutelageError(
            f"data={repository.name}: the repository has neither parquet files nor tar shards ({found} …); download it "
            f"and set data to a folder of images"
        )
    return shards


class _Unreachable(TutelageError):
    pass


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Convert errors of the hub inside the block to TutelageErrors with a remedy."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        yield
    except TutelageError:
        raise
    except GatedRepoError:
        raise TutelageError(
            f"data={name} is gated; accept its conditions on {_address(name)} and log in with hf auth login "
            f"(or set $HF_TOKEN), or set data to a folder that contains it"
        ) from None
    except RepositoryNotFoundError:
        raise TutelageError(
            f"data={name} is neither a folder nor a data set on the hub ({_address(name)}); if it is private, "
            f"run hf auth login or set $HF_TOKEN"
        ) from None
    except Exception as error:  # the HTTP library depends on the version of huggingface_hub
        raise _not_here(name, str(error).strip().split("\n")[0].rstrip(".")) from None


def _not_here(name: str, reason: str) -> _Unreachable:
    return _Unreachable(
        f"data={name} is not a folder, and cannot be downloaded ({reason}). Run once with a connection to store it in "
        f"the cache, or set data to a folder that contains it (class folders, parquet files or tar shards)"
    )


def _address(name: str) -> str:
    return f"{_endpoint() or 'https://huggingface.co'}/datasets/{name}"


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT")
