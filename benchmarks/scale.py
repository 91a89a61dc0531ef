"""Measure how the cost of a run grows with processes, samples, classes and epochs, on small real runs.

    python benchmarks/scale.py [processes] [samples] [classes] [memory] [--data FOLDER] [--out runs/scale.json]

* processes: images per second of two gloo processes with one thread each, and of one process with two threads, in turns
* samples: seconds per epoch for a fraction of the data, and two and four times as much
* classes: milliseconds per step with 10, 100 and 1,000 classes
* memory: the resident memory of this process after each of 50 epochs
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tutelage import Distiller, create_model, distill, train
from tutelage.distillation import Teacher
from tutelage.training.display.progress import Lines

PAIR = {"model": "resnet20", "student": "resnet8"}
TURNS = 3


def processes(data: str, folder: Path) -> dict[str, Any]:
    """Return images per second of one and two processes and their ratio, as medians over turns."""
    teacher = _teacher(data, folder)
    words = [f"data={data}", "data.fraction=0.08", f"teacher={teacher}", "student=resnet8", "method=kd", "epochs=1"]
    words += ["batch_size=128", "precision=fp32", "compile=off", "device=cpu", "overwrite=true"]
    ways = {
        "one process, two threads": ([sys.executable], 2),
        "two processes, one thread each": ([sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2"], 1),
    }
    speeds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(TURNS):
        for way, (command, threads) in ways.items():
            out = folder / "run"
            environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "ACCELERATE_USE_CPU": "true"}
            done = [*command, "-m", "tutelage", "distill", *words, f"out={out}"]
            subprocess.run(done, check=True, env=environment, stdout=subprocess.DEVNULL)
            speeds[way].append(json.loads((out / "result.json").read_text("utf-8"))["images_per_second"])
    one, two = speeds.values()
    medians = {way: statistics.median(values) for way, values in speeds.items()}
    return {"images_per_second": medians, "ratio": statistics.median(b / a for a, b in zip(one, two))}


def samples(data: str, folder: Path) -> dict[str, Any]:
    """Return seconds per epoch of the student alone, for several fractions of the data."""
    shares = {}
    for fraction in (0.04, 0.08, 0.16):
        run = train(
            data={"name": data, "fraction": fraction},
            model="resnet8",
            epochs=2,
            compile="off",
            out=folder / f"{fraction}",
        )
        shares[f"{fraction:g}"] = run.seconds / run.epochs
    return {"seconds_an_epoch": shares}


def classes(data: str, folder: Path) -> dict[str, Any]:
    """Return milliseconds per step of ResNet-20 → ResNet-8 with batches of 64 random images, measured in turns."""
    images = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8).float() / 255
    steps: dict[int, Callable[[], None]] = {}
    for count in (10, 100, 1000):
        distiller = Distiller(create_model("resnet8", count), Teacher(create_model("resnet20", count)), "kd").train()
        labels = torch.randint(count, (64,))
        steps[count] = lambda distiller=distiller, labels=labels: distiller(images, labels).loss.backward()  # type: ignore[misc]
    seconds: dict[int, list[float]] = {count: [] for count in steps}
    for _ in range(10):
        for count, step in steps.items():
            start = time.perf_counter()
            step()
            seconds[count].append(time.perf_counter() - start)
    return {
        "milliseconds_a_step": {str(count): 1000 * statistics.median(values[1:]) for count, values in seconds.items()}
    }


def memory(data: str, folder: Path) -> dict[str, Any]:
    """Return the resident memory in megabytes after each of 50 epochs of a small, cached distillation on digits."""
    teacher = train(data="digits", model="resnet14", epochs=1, device="cpu", out=folder / "digits-teacher")
    resident: list[float] = []
    finish = Lines.finish

    def noted(display: Lines, line: str) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        resident.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)
        finish(display, line)

    Lines.finish = noted  # type: ignore[method-assign]
    distill(
        data={"name": "digits", "fraction": 0.3},
        teacher=teacher.folder,
        student="resnet8",
        method="kd+at",
        epochs=50,
        cache={"views": 10, "folder": folder / "targets"},
        device="cpu",
        out=folder / "fifty",
    )
    Lines.finish = finish  # type: ignore[method-assign]
    return {"resident_mb": [round(value, 1) for value in resident]}


def _teacher(data: str, folder: Path) -> str:
    run = train(
        data={"name": data, "fraction": 0.02}, model="resnet20", epochs=1, compile="off", out=folder / "teacher"
    )
    return run.folder


MEASUREMENTS = {"processes": processes, "samples": samples, "classes": classes, "memory": memory}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = Path(os.environ.get("TUTELAGE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    parser.add_argument("what", nargs="*", help=f"of {', '.join(MEASUREMENTS)}; all if not given")
    parser.add_argument("--data", default=str(shared / "cifar10-jpeg"))
    parser.add_argument("--out", default="runs/scale.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = {what: MEASUREMENTS[what](arguments.data, Path(folder)) for what in arguments.what or MEASUREMENTS}
    Path(arguments.out).parent.mkdir(parents=True, exist_ok=True)
    Path(arguments.out).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
