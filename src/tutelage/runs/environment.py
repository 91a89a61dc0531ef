"""What a run records of where it ran."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import torch

PACKAGES = ("tutelage", "torch", "torchvision", "timm", "accelerate", "numpy")


def describe_environment() -> dict[str, object]:
    """Returns versions of Python and packages, the device, threads, and the code's git commit where there is one."""
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": package_versions(),
        "device": describe_device(torch.device("cuda" if torch.cuda.is_available() else "cpu")),
        "threads": torch.get_num_threads(),
        "git": git_commit(),
    }


def describe_device(device: torch.device) -> str:
    """Returns the name of a GPU, or of the widest instructions that PyTorch uses on the CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({torch.backends.cpu.get_cpu_capability()})"


def package_versions() -> dict[str, str]:
    """Returns the versions of the packages that decide what a run computes."""
    return {name: metadata.version(name) for name in PACKAGES}


def git_commit() -> str | None:
    """Return the commit that holds this package's code; None outside a checkout of it and where git is not installed.

    A package installed inside the repository of another project is not tracked there, so its commit is left out.
    """
    source = Path(__file__)
    tracked = _git(source.parent, "ls-files", "--error-unmatch", source.name)
    return _git(source.parent, "describe", "--always", "--dirty", "--abbrev=12") if tracked else None


def _git(folder: Path, *words: str) -> str | None:
    """Return what a git command prints; None if it fails or cannot be started."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None
