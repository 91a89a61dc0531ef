"""Test and time tutelage on this machine's GPU, in four minutes: the CUDA tests, then a short ``tutelage bench``.

    make gpu                                  # python benchmarks/gpu.py --out runs/gpu.json

This needs no data and no network. The machine, test results and benchmark reports are written to one JSON file.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from gpu_environment import require_gpu
from performance import measure, table

ROOT = Path(__file__).resolve().parents[1]
COMMON = ["data.size=32", "batch_size=256", "precision=bf16", "turns=3", "steps=20"]
ROWS: list[tuple[tuple[str, str], list[str]]] = [
    (("resnet56", "resnet20"), ["method=kd", "compile=off"]),
    (("wrn_40_2", "wrn_16_2"), ["method=at", "compile=off"]),
    (("resnet20", "resnet8"), ["method=kd", "compile=graphs"]),
]


def describe_machine() -> dict[str, Any]:
    """Return the device, driver and versions that the results depend on."""
    import torch

    device = torch.cuda.get_device_properties(0)
    return {
        "device": device.name,
        "memory_gb": round(device.total_memory / 1e9, 1),
        "compute_capability": f"{device.major}.{device.minor}",
        "driver": driver_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "python": platform.python_version(),
    }


def driver_version() -> str | None:
    """Return the version of the GPU driver, or None without ``nvidia-smi``, as in some containers."""
    if shutil.which("nvidia-smi") is None:
        return None
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()[0]


def run_tests() -> dict[str, Any]:
    """Run the tests marked ``gpu``, and return their results."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "tests.xml"
        command = [sys.executable, "-m", "pytest", "-m", "gpu", "-rs", "--durations=5", f"--junitxml={report}", "tests"]
        code = subprocess.run(command, cwd=ROOT).returncode
        if not report.exists():
            sys.exit(f"pytest ended with exit code {code} before it had run a test")
        return count_tests(report)


def count_tests(report: Path) -> dict[str, Any]:
    """Return the number of passed tests, the failed and skipped tests, and the duration from a JUnit file."""
    suite = ElementTree.parse(report).getroot()[0]
    cases = suite.findall("testcase")
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    return {
        "passed": len(cases) - len(failed) - len(skipped),
        "failed": [f"{case.get('classname')}::{case.get('name')}" for case in failed],
        "skipped": [f"{case.get('classname')}::{case.get('name')}" for case in skipped],
        "seconds": float(suite.get("time", 0)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/gpu.json"))
    out: Path = parser.parse_args().out
    require_gpu()
    start, machine = time.perf_counter(), describe_machine()
    tests = run_tests()
    reports = [measure(pair, [*COMMON, *words], "digits") for pair, words in ROWS]
    seconds = round(time.perf_counter() - start, 1)
    content = {"machine": machine, "tests": tests, "bench": reports, "seconds": seconds}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(table(reports))
    counts = f"{tests['passed']} tests passed, {len(tests['failed'])} failed, {len(tests['skipped'])} skipped"
    print(f"{machine['device']}, torch {machine['torch']}: {counts}; {seconds:.0f} s in all. Results in {out}")
    sys.exit(bool(tests["failed"]))


if __name__ == "__main__":
    main()
