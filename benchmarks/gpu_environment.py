"""Create a virtual environment on top of an installed PyTorch, so that nothing large is downloaded.

    python benchmarks/gpu_environment.py .venv-gpu

The environment includes all packages of the Python that runs this script, such as PyTorch and CUDA libraries. Other
dependencies of tutelage and its tests are installed, except packages that would replace or duplicate PyTorch.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

NEEDED = ["--editable", ".", "pytest", "hypothesis"]
PRESENT = ("tutelage", "torch", "triton")
LARGE = ("nvidia-", "cuda-")


def require_gpu() -> None:
    """Exit with a message unless PyTorch is installed and finds a GPU."""
    try:
        import torch
    except ImportError:
        sys.exit(
            f"no PyTorch for {sys.executable}: set PYTHON to a Python that has it, make gpu PYTHON=/path/to/python"
        )
    if not torch.cuda.is_available():
        sys.exit(
            f"no GPU: PyTorch {torch.__version__} sees no CUDA device on this machine, so there is nothing to test"
        )


def make_environment(folder: Path) -> None:
    """Create the environment in ``folder``, and install missing packages."""
    import torch

    subprocess.run([sys.executable, "-m", "venv", "--clear", "--system-site-packages", str(folder)], check=True)
    python = folder / "bin" / "python"
    # If this Python belongs to a virtual environment, its packages are not the system's packages.
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "installed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-compile"]
    subprocess.run([*pip, "--upgrade", "pip"], check=True)
    with tempfile.TemporaryDirectory() as scratch:
        constraint, report = Path(scratch, "torch.txt"), Path(scratch, "report.json")
        constraint.write_text(f"torch=={torch.__version__.partition('+')[0]}\n", encoding="utf-8")
        plan = ["--dry-run", "--report", str(report), "--constraint", str(constraint)]
        subprocess.run([*pip, *plan, *NEEDED], check=True)
        planned = json.loads(report.read_text(encoding="utf-8"))["install"]
    subprocess.run([*pip, "--no-deps", *missing(planned), *NEEDED[:2]], check=True)


def missing(planned: list[dict[str, dict[str, str]]]) -> list[str]:
    """Return the packages in pip's report to install, with versions: all except tutelage, PyTorch and CUDA."""
    found = {package["metadata"]["name"].lower(): package["metadata"]["version"] for package in planned}
    return [f"{name}=={found[name]}" for name in found if name not in PRESENT and not name.startswith(LARGE)]


if __name__ == "__main__":
    require_gpu()
    make_environment(Path(sys.argv[1]))
