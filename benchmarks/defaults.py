"""Train many students with default settings and a real pretrained teacher, and record the results.

    python benchmarks/defaults.py matrix    # 16 students x 4 methods, one seed
    python benchmarks/defaults.py seeds     # four of them, with and without a teacher, three seeds
    python benchmarks/defaults.py longer    # two of them, the same for four times as many steps
    python benchmarks/defaults.py weights   # two of them, other weights and temperatures of kd

Only data, teacher, student, method and the length of the run are set; tutelage chooses the optimization settings.
Precision and compilation are fixed, so that the result does not depend on timing. The images are a part of Imagenette,
written as JPEG files in class folders. Runs that are recorded in the output are skipped, so that you can repeat an
interrupted command.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pyarrow.parquet as pq
import torch
import yaml

import tutelage
from tutelage.errors import TutelageError

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
STUDENTS = (
    "residual_cnn",
    "plain_cnn_adaptive",
    "resnet20",
    "timm/resnet18",
    "timm/mobilenetv3_small_100",
    "timm/mobilenetv4_conv_small",
    "timm/efficientnet_b0",
    "timm/ghostnet_100",
    "timm/repvgg_a0",
    "timm/convnext_atto",
    "timm/vit_tiny_patch16_224",
    "timm/mobilevit_xxs",
    "torchvision/mobilenet_v2",
    "torchvision/regnet_y_400mf",
    "torchvision/shufflenet_v2_x0_5",
    "torchvision/squeezenet1_1",
)
METHODS = ("none", "kd", "kd+at", "kd+ofd")
KD = {
    "kd, T=1": {"temperature": 1},
    "kd, α=0.5": {"alpha": 0.5},
    "kd, α=0.5, T=1": {"alpha": 0.5, "temperature": 1},
    "kd, α=1": {"alpha": 1},
}
FOUR = (
    "timm/mobilenetv3_small_100",
    "timm/mobilenetv4_conv_small",
    "timm/vit_tiny_patch16_224",
    "torchvision/shufflenet_v2_x0_5",
)
TWO = FOUR[::3]
SIZE = 64


@dataclass(frozen=True)
class Part:
    """One table: its students and methods, and the number of images and epochs and the teacher's resolution in a run.

    ``train`` and ``val`` are the numbers of images per class.
    """

    students: tuple[str, ...]
    methods: tuple[str, ...]
    seeds: int
    train: int
    epochs: int
    teacher_size: int
    val: int = 100
    batch_size: int = 32


PARTS = {
    "matrix": Part(STUDENTS, METHODS, seeds=1, train=120, epochs=4, teacher_size=96),
    "seeds": Part(FOUR, METHODS[:2], seeds=3, train=80, epochs=8, teacher_size=224),
    "longer": Part(TWO, METHODS[:2], seeds=3, train=80, epochs=32, teacher_size=224),
    "weights": Part(TWO, ("none", "kd", *KD), seeds=3, train=80, epochs=8, teacher_size=224),
}


@dataclass(frozen=True)
class Cell:
    """One run of the table."""

    student: str
    method: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.student.replace('/', '_')}-{self.method}-{self.seed}"


def write_images(source: Path, folder: Path, counts: dict[str, int]) -> None:
    """Write the first images of each class of a parquet data set as JPEG files in class folders."""
    for split, files in (("train", "train-*.parquet"), ("val", "validation-*.parquet")):
        seen: Counter[int] = Counter()
        for file in sorted(source.glob(files)):
            names = json.loads(pq.read_schema(file).metadata[b"huggingface"])["info"]["features"]["label"]["names"]
            table = pq.read_table(file)
            for image, label in zip(table["image"].to_pylist(), table["label"].to_pylist()):
                if seen[label] < counts[split]:
                    path = folder / split / names[label].replace(" ", "_") / f"{seen[label]:04}.jpg"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(image["bytes"])
                    seen[label] += 1


def settings_of(cell: Cell, out: Path, weights: Path, part: Part) -> dict[str, Any]:
    """Return the settings of a run, without any optimization settings."""
    variant = KD.get(cell.method)
    settings: dict[str, Any] = {
        "data": {"name": str(out / "images"), "size": SIZE, "workers": 0},
        "student": {"name": cell.student, **({"input_size": SIZE} if "vit" in cell.student else {})},
        **({"method": "kd", "kd": variant} if variant else {"method": cell.method}),
        "seed": cell.seed,
        "epochs": part.epochs,
        "batch_size": part.batch_size,
        "validate_every": part.epochs,
        "precision": "fp32",
        "compile": "off",
        "loggers": [],
        "out": str(out / "runs" / cell.name),
        "overwrite": True,
    }
    if cell.method != "none":
        settings["teacher"] = {
            "name": "timm/tf_efficientnet_lite0",
            "weights": str(weights),
            "classes": "imagenet-1k",
            "input_size": part.teacher_size,
        }
        # Caching feature maps is not worthwhile; the other methods see the same views from the cache.
        if "ofd" not in cell.method:
            settings["cache"] = {"views": "all", "folder": str(out / "cache")}
    return settings


def run_cell(cell: Cell, settings: dict[str, Any]) -> dict[str, Any]:
    """Train one cell, and return the record of its result."""
    torch.set_num_threads(1)
    screen = Path(settings["out"]).with_suffix(".log")
    screen.parent.mkdir(parents=True, exist_ok=True)
    try:
        with screen.open("w") as file, redirect_stdout(file), redirect_stderr(file):
            result = tutelage.distill(**settings)
    except TutelageError as error:
        outcome = "diverged" if "not finite" in str(error) else "refused"
        return {**asdict(cell), "outcome": outcome, "message": str(error)}
    chosen = yaml.safe_load((Path(settings["out"]) / "config.yaml").read_text(encoding="utf-8"))
    optimizer = {key: chosen["optimizer"][key] for key in ("name", "lr", "weight_decay")}
    return {
        **asdict(cell),
        "outcome": "trained",
        "top1": result.top1,
        "teacher_top1": result.teacher_top1,
        "parameters": result.parameters,
        "seconds": round(result.seconds, 1),
        "optimizer": optimizer,
        "warmup": chosen["schedule"]["warmup"],
        "clip": chosen["clip"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("TUTELAGE_DATA", SHARED / "data")))
    parser.add_argument("--weights", type=Path, default=SHARED / "weights" / "tf_efficientnet_lite0.safetensors")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "defaults")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    for needed in (arguments.data / "imagenette", arguments.weights):
        if not needed.exists():
            parser.exit(2, f"{needed} does not exist; see --data and --weights\n")

    part = PARTS[arguments.part]
    out = arguments.out / arguments.part
    if not (out / "images").exists():
        write_images(arguments.data / "imagenette", out / "images", {"train": part.train, "val": part.val})
    cells = [
        Cell(student, method, seed)
        for seed in range(part.seeds)
        for student in part.students
        for method in part.methods
    ]

    record = out / "cells.jsonl"
    done = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
    names = {Cell(row["student"], row["method"], row["seed"]).name for row in done}
    left = [cell for cell in cells if cell.name not in names]
    with ProcessPoolExecutor(arguments.workers, get_context("spawn")) as pool:
        jobs = [pool.submit(run_cell, cell, settings_of(cell, out, arguments.weights, part)) for cell in left]
        for job in as_completed(jobs):
            row = job.result()
            done.append(row)
            with record.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(row["student"], row["method"], row["seed"], row.get("top1", row.get("message")), flush=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    facts = {"commit": commit, "torch": torch.__version__, "size": SIZE, **asdict(part)}
    path = arguments.out / f"defaults-{arguments.part}.json"
    path.write_text(json.dumps({**facts, "cells": sorted(done, key=place)}, indent=1, ensure_ascii=False) + "\n")
    print(table(done), path, sep="\n")


def table(rows: list[dict[str, Any]]) -> str:
    """Return a Markdown table of results over the seeds, with one row per student and one column per method."""
    methods = [method for method in (*METHODS, *KD) if any(row["method"] == method for row in rows)]
    lines = [f"| student | {' | '.join(methods)} |", f"|---|{'---:|' * len(methods)}"]
    for student in dict.fromkeys(row["student"] for row in sorted(rows, key=place)):
        cells = [[row for row in rows if (row["student"], row["method"]) == (student, method)] for method in methods]
        lines.append(f"| {student} | {' | '.join(map(shown, cells))} |")
    return "\n".join(lines)


def shown(rows: list[dict[str, Any]]) -> str:
    """Return the text of a table cell: mean accuracy and standard deviation over the seeds, or failed outcomes."""
    failed = [row["outcome"] for row in rows if row["outcome"] != "trained"]
    if failed or not rows:
        return ", ".join(failed)
    top1 = [row["top1"] for row in rows]
    return f"{mean(top1):.1f}" + (f" ± {stdev(top1):.1f}" if len(top1) > 1 else "")


def place(row: dict[str, Any]) -> tuple[str, int, int]:
    """Return the sort key of a record."""
    return row["student"], (*METHODS, *KD).index(row["method"]), row["seed"]


if __name__ == "__main__":
    main()
