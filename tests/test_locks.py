"""Locks between processes, on simulated file systems without ``flock``."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from tutelage.locks import lock


def without_flock(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", fail)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_gets_a_warning(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed run leaves nothing that would keep it from being resumed."""
    without_flock(number, monkeypatch)
    with pytest.warns(UserWarning, match=f"write to {tmp_path} at once.*does not support locks"):
        lock(tmp_path / "lock", wait=False)
    with pytest.warns(UserWarning), lock(tmp_path / "lock", wait=False):
        pass


def test_other_faults_of_a_disk_are_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_flock(errno.EIO, monkeypatch)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        lock(tmp_path / "lock", wait=False)
