"""The table of docs/performance.md: ``tutelage bench`` for every pair and method, one process after another.

    python benchmarks/performance.py [--data FOLDER] [--out docs/results/performance] [KEY=VALUE …]

Settings given apply to every row: on a GPU, ``batch_size=128 precision=bf16 compile=both``. Written are OUT.json, with
all figures, and OUT.md, the table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

WRN = ("wrn_40_2", "wrn_16_2")
ROWS: list[tuple[tuple[str, str], list[str]]] = [
    (WRN, ["method=kd"]),
    (WRN, ["method=fitnets", "fitnets.joint=true"]),
    (WRN, ["method=at"]),
    (WRN, ["method=nst"]),
    (WRN, ["method=fsp"]),
    (WRN, ["method=ofd", "compile=off"]),  # compiled, a teacher that normalises by batch statistics gains nothing
    (("resnet56", "resnet20"), ["method=kd"]),
]
COMMON = ["batch_size=64", "turns=3", "steps=5", "compile=teacher"]
RATIOS = ("live/plain", "cached/plain", "floor_live/live", "floor_student/cached")
VARIANTS = ("plain", "live", "cached", "floor_live", "floor_student")


def measure(pair: tuple[str, str], words: list[str], data: str) -> dict[str, Any]:
    """Returns the report of ``tutelage bench`` in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        command = [sys.executable, "-m", "tutelage", "bench", f"data={data}"]
        command += [f"teacher={pair[0]}", f"student={pair[1]}", *words, "--json", str(path)]
        done = subprocess.run(command)
        if done.returncode:
            sys.exit(done.returncode)  # the command has printed why
        return {"settings": words, **json.loads(path.read_text(encoding="utf-8"))}


def table(reports: list[dict[str, Any]]) -> str:
    """Returns the reports as a Markdown table."""
    lines = [
        f"| pair | method | {' | '.join(VARIANTS)} | {' | '.join(RATIOS)} |",
        "|---" * (2 + len(VARIANTS) + len(RATIOS)) + "|",
    ]
    for report in reports:
        speeds = [_cell(report["images_per_second"].get(name), ".0f") for name in VARIANTS]
        ratios = [_cell(report["ratios"].get(name), ".2f") for name in RATIOS]
        pair = f"{report['teacher']} → {report['student']}"
        lines.append(f"| {pair} | {report['method']} | {' | '.join(speeds + ratios)} |")
    return "\n".join(lines) + "\n"


def _cell(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def find_data() -> tuple[str, list[str]]:
    """Return the data and its settings: CIFAR-10, or the embedded digits at its image size where it is missing."""
    shared = Path(os.environ.get("TUTELAGE_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    folder = shared.expanduser() / "cifar10-jpeg"
    if folder.is_dir():
        return str(folder), []
    print(f"{folder} does not exist; measuring on the embedded digits instead. Pass --data or set $TUTELAGE_DATA.")
    return "digits", ["data.size=32"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="default: CIFAR-10 of $TUTELAGE_DATA or ../shared/data, or the embedded digits")
    parser.add_argument("--out", default="runs/performance", help="figures go to OUT.json and OUT.md")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    arguments = parser.parse_args()
    data, size = (arguments.data, []) if arguments.data else find_data()
    reports = [measure(pair, [*COMMON, *size, *words, *arguments.settings], data) for pair, words in ROWS]
    out = Path(arguments.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps(reports, indent=2) + "\n", encoding="utf-8")
    out.with_suffix(".md").write_text(table(reports), encoding="utf-8")
    print(table(reports))


if __name__ == "__main__":
    main()
