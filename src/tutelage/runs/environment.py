"""Describe the environment of a run."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import torch

PACKAGES = ("tutelage", "torch", "torchvision", "timm", "accelerate", "numpy")


def describe_environment() -> dict[str, object]:
    """Return the versions of Python and packages, the platform, the device, the threads and the git commit, if any."""
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": package_versions(),
        "device": describe_device(torch.device("cuda" if torch.cuda.is_available() else "cpu")),
        "threads": torch.get_num_threads(),
        "git": git_commit(),
    }


def describe_device(device: torch.device) -> str:
    """Return the name of a GPU, or the widest instruction set that PyTorch uses on the CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({torch.backends.cpu.get_cpu_capability()})"


def package_versions() -> dict[str, str]:
    """Return the versions of the packages that affect the results of a run."""
    return {name: metadata.version(name) for name in PACKAGES}


def git_commit() -> str | None:
    """Return the commit of this package's code, or None outside its repository or if git is not installed.

    If the package is installed inside another project's repository, that project's commit is not reported.
    """
    source = Path(__file__)
    tracked = _git(source.parent, "ls-files", "--error-unmatch", source.name)
    return _git(source.parent, "describe", "--always", "--dirty", "--abbrev=12") if tracked else None


def _git(folder: Path, *words: str) -> str | None:
    """Return the output of a git command, or None if it is empty, fails or cannot be started."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None
