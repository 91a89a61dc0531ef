"""What a run records of the code it ran, on machines with and without git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tutelage.runs import environment


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package's file in a virtual environment inside a repository with one commit."""
    file = tmp_path / ".venv" / "tutelage" / "environment.py"
    file.parent.mkdir(parents=True)
    file.write_text("code", encoding="utf-8")
    (tmp_path / "theirs.py").write_text("code", encoding="utf-8")
    git(tmp_path, "init")
    git(tmp_path, "add", "theirs.py")
    commit(tmp_path)
    monkeypatch.setattr(environment, "__file__", str(file))
    return tmp_path


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True)


def commit(folder: Path) -> None:
    git(folder, "-c", "user.name=name", "-c", "user.email=address", "commit", "-m", "a commit")


def test_the_commit_of_somebody_elses_repository_is_not_recorded(installed: Path) -> None:
    assert environment.git_commit() is None


def test_the_commit_that_holds_the_code_is_recorded(installed: Path) -> None:
    git(installed, "add", "--force", ".venv")
    commit(installed)
    recorded = environment.git_commit()
    assert recorded is not None and "dirty" not in recorded
    (installed / ".venv" / "tutelage" / "environment.py").write_text("other code", encoding="utf-8")
    assert environment.git_commit() == f"{recorded}-dirty"


def test_a_machine_without_git_records_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.describe_environment()["git"] is None
