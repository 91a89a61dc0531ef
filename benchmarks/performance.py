"""Measure the table in docs/performance.md: ``tutelage bench``, in turns with a plain loop.

    python benchmarks/performance.py [--data FOLDER] [--out docs/results/performance] [KEY=VALUE …]

Each row is measured in its own process. The settings apply to all rows; on a GPU, use ``batch_size=128 precision=bf16
compile=both``. All results are written to OUT.json, and the table to OUT.md.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from plain import plain_steps
from tutelage.bench import BenchSettings, Setup, prepare, speed_ratio, take_turns
from tutelage.bench import table as terminal_table
from tutelage.bench.variants import Steps
from tutelage.config import as_mapping, load
from tutelage.console import build_console

WRN = ("wrn_40_2", "wrn_16_2")
ROWS: list[tuple[tuple[str, str], list[str]]] = [
    (WRN, ["method=kd"]),
    (WRN, ["method=fitnets", "fitnets.joint=true"]),
    (WRN, ["method=at"]),
    (WRN, ["method=nst"]),
    (WRN, ["method=fsp"]),
    (WRN, ["method=ofd", "compile=off"]),  # compilation does not speed up a teacher that uses batch statistics
    (("resnet56", "resnet20"), ["method=kd"]),
]
COMMON = ["batch_size=64", "turns=3", "steps=5", "compile=teacher"]
PLAIN_RATIOS = ("live/plain", "cached/plain")
RATIOS = (*PLAIN_RATIOS, "floor_live/live", "floor_student/cached")
VARIANTS = ("plain", "live", "cached", "floor_live", "floor_student")


def measure(pair: tuple[str, str], words: list[str], data: str) -> dict[str, Any]:
    """Return the results of one row, measured in its own process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        row = [f"data={data}", f"teacher={pair[0]}", f"student={pair[1]}", *words]
        done = subprocess.run([sys.executable, __file__, "--row", str(path), *row])
        if done.returncode:
            sys.exit(done.returncode)  # the process has printed the reason
        return {"settings": words, **json.loads(path.read_text(encoding="utf-8"))}


def measure_here(words: list[str]) -> dict[str, Any]:
    """Return the results of ``tutelage bench`` with these settings and a plain loop as an additional variant."""
    settings: Any = load(BenchSettings, as_mapping(*words))
    with tempfile.TemporaryDirectory() as folder:
        setup = prepare(settings, Path(folder))
        plain = plain_variant(setup)
        variants = {**({"plain": plain} if plain is not None else {}), **setup.variants}
        timings = take_turns(variants, settings.turns, settings.steps, setup.engine.device)
        report = setup.report(timings, settings.turns, settings.steps)
    build_console().print(terminal_table(report))
    ratios = {name: speed_ratio(timings, name) for name in PLAIN_RATIOS if set(name.split("/")) <= timings.keys()}
    print(*(f"{name} {ratio:.2f}" for name, ratio in ratios.items()), sep="   ")
    found = report.model_dump()
    missing = {"plain": "the plain loop has no form of this method"} if plain is None else {}
    return {**found, "ratios": {**ratios, **found["ratios"]}, "missing": {**found["missing"], **missing}}


def plain_variant(setup: Setup) -> Steps | None:
    """Return the plain loop on copies of the networks, or None if the method has no plain loop."""
    job, teacher = setup.job, setup.job.teacher
    if teacher is None or len(teacher.members) > 1:
        return None
    stage = job.distiller.stages[setup.index]
    networks = contiguous(teacher.network), contiguous(job.student)
    return plain_steps(job.data, *networks, stage, job.settings.batch_size, setup.engine.device)


def contiguous(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network).to(memory_format=torch.contiguous_format).requires_grad_(True)


def table(reports: list[dict[str, Any]]) -> str:
    """Return the reports as a Markdown table."""
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
    """Return the data and their settings: CIFAR-10, or the embedded digits at the same size if it is missing."""
    shared = Path(os.environ.get("TUTELAGE_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    folder = shared.expanduser() / "cifar10-jpeg"
    if folder.is_dir():
        return str(folder), []
    print(f"{folder} does not exist; measuring on the embedded digits instead. Pass --data or set $TUTELAGE_DATA.")
    return "digits", ["data.size=32"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="default: CIFAR-10 of $TUTELAGE_DATA or ../shared/data, or the embedded digits")
    parser.add_argument("--out", default="runs/performance", help="results go to OUT.json and OUT.md")
    parser.add_argument("--row", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    arguments = parser.parse_args()
    if arguments.row is not None:
        arguments.row.write_text(json.dumps(measure_here(arguments.settings)), encoding="utf-8")
        return
    data, size = (arguments.data, []) if arguments.data else find_data()
    reports = [measure(pair, [*COMMON, *size, *words, *arguments.settings], data) for pair, words in ROWS]
    out = Path(arguments.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps(reports, indent=2) + "\n", encoding="utf-8")
    out.with_suffix(".md").write_text(table(reports), encoding="utf-8")
    print(table(reports))


if __name__ == "__main__":
    main()
