"""Fixtures that all tests share."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from multiprocessing import forkserver
from pathlib import Path

import pytest
import torch

from harness.pool import Pool
from harness.processes import settle


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a GPU")


@pytest.fixture(scope="session", autouse=True)
def settled() -> Iterator[None]:
    """Every test runs in a process that is prepared for many short runs."""
    settle()
    if "PYTEST_XDIST_WORKER" in os.environ:  # a few tests by themselves may well need none
        forkserver.ensure_running()  # before a study starts it with less that is imported
    yield
    gc.unfreeze()  # or what bindings hold is reported as leaked


@pytest.fixture(scope="module", autouse=True)
def frozen(settled: None) -> None:
    """What the modules before have imported is not looked at as garbage either: each run collects garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def patient() -> Iterator[None]:
    """stderr has errors and warnings alone: which phases are long enough for a line depends on the machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tutelage.console.PATIENCE", 3600.0)
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real image data: ``$TUTELAGE_DATA``, else ``../shared/data`` beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TUTELAGE_DATA") or beside).expanduser()
    if not (folder / "cifar10-jpeg").is_dir():
        pytest.skip(f"no real image data: neither $TUTELAGE_DATA nor {beside} has cifar10-jpeg")
    return folder


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    """Two gloo processes, started on first use."""
    pool = Pool()
    yield pool
    pool.close()
