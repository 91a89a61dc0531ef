"""Time and memory of losses beside the official implementations, at batch size 256 and 100 or 1,000 classes.

    python benchmarks/official.py CHECKOUTS --out docs/results/official-losses.json

CHECKOUTS is a folder with checkouts of the official repositories, under these names: RepDistiller (HobbitLong; RKD and
CRD), mdistiller (megvii-research; ReviewKD), DIST_KD (hunto), DKL (jiequancui; GKL) and SDD-CVPR2024 (shicaiwei123).

Every measurement runs in its own process, on one thread, and the two implementations take turns. One measurement is a
forward and a backward pass. Memory is the peak of the process above what it holds before. Both implementations must
return the same loss.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import subprocess
import sys
import types
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
import typer
from torch import Tensor, nn
from torch.utils.benchmark import Timer

from tutelage.connectors import CRDEmbedding, CRDMemory, ReviewKDConnector
from tutelage.losses import dist_loss, dkd_loss, gkl_loss, region_logits, reviewkd_loss, rkd_loss, sdd_loss

ROOT = Path(__file__).resolve().parents[1]
BATCH = 256
WIDTH = 512
TRAINING_SET, NEGATIVES = 50_000, 16_384
LEVELS = [(64, 32, 32), (128, 16, 16), (256, 8, 8), (256, 1, 1)]
"""Shapes that ReviewKD reads in a resnet8x4, and in a resnet32x4."""


class Result(NamedTuple):
    """One measurement."""

    seconds: float
    megabytes: float
    value: float


Loss = Callable[[], Tensor]


def official_module(checkouts: Path, folder: str, name: str) -> Any:
    """Import a module without its package's ``__init__``, which would import the whole repository."""
    if not (checkouts / folder / f"{name}.py").exists():
        raise typer.BadParameter(f"{checkouts / folder / name}.py does not exist; see the top of {Path(__file__).name}")
    package = types.ModuleType("checkout")
    package.__path__ = [str(checkouts / folder)]
    sys.modules["checkout"] = package
    return importlib.import_module(f"checkout.{name}")


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape).requires_grad_()


def rkd(checkouts: Path | None, classes: int) -> Loss:
    student, teacher = noise(BATCH, WIDTH), torch.randn(BATCH, WIDTH)
    if checkouts is None:
        return partial(rkd_loss, student, teacher)
    return partial(official_module(checkouts, "RepDistiller/distiller_zoo", "RKD").RKDLoss(), student, teacher)


def crd(checkouts: Path | None, classes: int) -> Loss:
    student, teacher = noise(BATCH, WIDTH), torch.randn(BATCH, WIDTH)
    index = torch.randperm(TRAINING_SET)[:BATCH]
    contrast = torch.randint(TRAINING_SET, (BATCH, NEGATIVES + 1))
    embed = nn.ModuleList([CRDEmbedding(WIDTH), CRDEmbedding(WIDTH)])
    memory = CRDMemory(TRAINING_SET)
    if checkouts is None:
        return lambda: memory(embed[0](student), embed[1](teacher), index, contrast)
    module = official_module(checkouts, "RepDistiller/crd", "criterion")
    dims = {"s_dim": WIDTH, "t_dim": WIDTH, "feat_dim": 128, "n_data": TRAINING_SET}
    constants = {"nce_k": NEGATIVES, "nce_t": 0.07, "nce_m": 0.5}
    # Its alias table draws negatives, which are given here.
    module.ContrastMemory.__init__.__globals__["AliasMethod"] = lambda unigrams: nn.Identity()
    official = module.CRDLoss(types.SimpleNamespace(**dims, **constants))
    for ours, theirs in zip(embed, (official.embed_s, official.embed_t)):
        theirs.linear.load_state_dict(ours.state_dict())
    official.contrast.memory_v1.copy_(memory.student_bank)
    official.contrast.memory_v2.copy_(memory.teacher_bank)
    return lambda: official(student, teacher, index, contrast).squeeze()


def gkl(checkouts: Path | None, classes: int) -> Loss:
    student, teacher = noise(BATCH, classes), torch.randn(BATCH, classes)
    labels, means = torch.randint(classes, (BATCH,)), torch.randn(classes, classes).softmax(1)
    if checkouts is None:
        return partial(gkl_loss, student, teacher, labels, class_means=means)
    loss = official_module(checkouts, "DKL/DKLv2/KD-dkl/mdistiller/distillers", "GKL_KD").dkl_loss
    return lambda: loss(student, teacher, 4.0, 1.0, 16.0, 0.05, F.one_hot(labels, classes).float() @ means)


def sdd(checkouts: Path | None, classes: int) -> Loss:
    student, teacher = noise(BATCH, WIDTH, 8, 8), torch.randn(BATCH, WIDTH, 8, 8)
    heads, labels = [nn.Linear(WIDTH, classes) for _ in range(2)], torch.randint(classes, (BATCH,))
    constants = {"alpha": 1.0, "beta": 8.0, "temperature": 4.0}
    if checkouts is None:
        logits = [partial(region_logits, weight=head.weight, bias=head.bias) for head in heads]

        def ours() -> Tensor:
            with torch.no_grad():
                target = logits[1](teacher)
            return sdd_loss(logits[0](student), target, labels, loss=partial(dkd_loss, **constants))

        return ours
    pyramid = official_module(checkouts, "SDD-CVPR2024/mdistiller/models/cifar", "utils").SPP("[1,2,4]")
    loss = official_module(checkouts, "SDD-CVPR2024/mdistiller/distillers", "SDD_DKD").multi_dkd

    def read(maps: Tensor, head: nn.Linear) -> Tensor:
        regions = pyramid(maps)[0].permute(2, 0, 1)
        return head(regions.flatten(0, 1)).unflatten(0, regions.shape[:2]).permute(1, 2, 0)

    def theirs() -> Tensor:
        with torch.no_grad():
            target = read(teacher, heads[1])
        return loss(read(student, heads[0]), target, labels, **constants)

    return theirs


def reviewkd(checkouts: Path | None, classes: int) -> Loss:
    students, teachers = [noise(BATCH, *shape) for shape in LEVELS], [torch.randn(BATCH, *shape) for shape in LEVELS]
    connector = ReviewKDConnector(LEVELS, LEVELS)
    if checkouts is None:
        return lambda: reviewkd_loss(connector(*students), teachers)
    module = official_module(checkouts, "mdistiller/mdistiller/distillers", "ReviewKD")
    deepest = len(LEVELS) - 1
    levels = [module.ABF(shape[0], 256, shape[0], number < deepest) for number, shape in enumerate(LEVELS)]
    for ours, theirs in zip(connector.levels, levels):
        theirs.conv1.load_state_dict(ours.reduce.state_dict())
        theirs.conv2.load_state_dict(ours.expand.state_dict())
        if ours.attention is not None:
            theirs.att_conv[0].load_state_dict(ours.attention.state_dict())

    def official() -> Tensor:
        fused, deeper = [], None
        for features, level, (_, side, _) in reversed(list(zip(students, levels, LEVELS))):
            out, deeper = level(features, deeper, side, side)
            fused.insert(0, out)
        return module.hcl_loss(fused, teachers)

    return official


def dist(checkouts: Path | None, classes: int) -> Loss:
    student, teacher = noise(BATCH, classes), torch.randn(BATCH, classes)
    if checkouts is None:
        return partial(dist_loss, student, teacher, temperature=1.0)
    return partial(official_module(checkouts, "DIST_KD/segmentation/losses", "dist_kd").DIST(), student, teacher)


CASES = [(rkd, 0), (crd, 0), *((loss, classes) for loss in (dist, sdd, gkl) for classes in (100, 1000)), (reviewkd, 0)]
"""Losses, and numbers of classes where the loss depends on it."""


def measure(build: Callable[[Path | None, int], Loss], checkouts: Path | None, classes: int) -> Result:
    """Measure one implementation, in a fresh process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with open(os.devnull, "w") as sys.stdout:
        loss = build(checkouts, classes)
        Path("/proc/self/clear_refs").write_text("5")  # reset the peak
        before = status("VmRSS")
        value = loss()
        value.backward()
        peak = status("VmHWM") - before
        time = Timer("loss().backward()", globals={"loss": loss}, num_threads=1).blocked_autorange(min_run_time=1.0)
    return Result(time.median, peak, value.item())


def status(key: str) -> float:
    """Return a line of this process's memory statistics, in MB."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[key].split()[0]) / 1024


def main(checkouts: Path, out: Path | None = None, rounds: int = 3) -> None:
    """Print a table, and write it as JSON."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    facts = {"commit": commit, "torch": torch.__version__, "batch": BATCH, "rounds": rounds}
    rows: list[dict[str, Any]] = []
    for build, classes in CASES:
        found: dict[Path | None, list[Result]] = {None: [], checkouts: []}
        for _ in range(rounds):
            for side, results in found.items():
                with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                    results.append(pool.submit(measure, build, side, classes).result())
        ours, theirs = ([median(column) for column in zip(*results)] for results in found.values())
        if not math.isclose(ours[2], theirs[2], rel_tol=1e-3):
            raise SystemExit(f"{build.__name__}: {ours[2]} here and {theirs[2]} in the official code")
        row: dict[str, Any] = {"loss": build.__name__, "classes": classes or None}
        for name, values in (("ours", ours), ("official", theirs)):
            row[name] = {"milliseconds": round(1000 * values[0], 2), "megabytes": round(values[1], 1)}
        rows.append(row)
        print(json.dumps(row), flush=True)
        if out is not None:
            out.write_text(json.dumps({**facts, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
