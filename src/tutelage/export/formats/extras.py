"""Optional libraries: check that they are installed, and suppress their output."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from tutelage.errors import TutelageError


def require(what: str, packages: Iterable[str]) -> None:
    """Check that ``packages`` are installed.

    Raises:
        TutelageError: If one is missing; the message contains the install command.
    """
    for package in packages:
        if find_spec(package) is None:
            raise TutelageError(f"{what} needs the package {package}; run pip install 'tutelage[export]'")


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress warnings and log messages below errors inside the block."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextmanager
def quiet_native() -> Iterator[None]:
    """Suppress stderr output of compiled code inside the block, unless the block fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        except BaseException:
            written.seek(0)
            os.write(kept, written.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
