"""Break important lines in a copy of the package, one at a time, and check that a test fails.

python benchmarks/mutations.py --out docs/results/mutations.txt
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import typer

ROOT = Path(__file__).resolve().parents[1]


class Mutation(NamedTuple):
    """A line of a file, its replacement, and the tests that should fail."""

    file: str
    line: str
    broken: str
    tests: str


MUTATIONS = [
    Mutation(
        "losses/kd.py",
        "target / temperature).mean() * temperature**2",
        "target / temperature).mean() * temperature",
        "losses/test_kd.py",
    ),
    Mutation(
        "losses/attention.py", "unit_norm(attention.flatten(1))", "attention.flatten(1)", "losses/test_attention.py"
    ),
    Mutation("losses/fsp.py", "/ (size[0] * size[1])", "/ size[0]", "losses/test_fsp.py"),
    Mutation(
        "losses/ofd.py", "(student > target) | (target > 0)", "(student > target) & (target > 0)", "losses/test_ofd.py"
    ),
    Mutation("losses/nst.py", "within - 2 * kernel", "within - kernel", "losses/test_nst.py"),
    Mutation(
        "taps/pairing.py",
        "zip(teacher_taps[-count:], student_taps[-count:])",
        "zip(teacher_taps[:count], student_taps[:count])",
        "taps/test_levels.py",
    ),
    Mutation(
        "taps/batch_statistics.py", "sharing_clone(model).eval()", "model.eval()", "taps/test_batch_statistics.py"
    ),
    Mutation(
        "distillation/base.py",
        "return super().train(False)",
        "return super().train(mode)",
        "distillation/test_teacher.py",
    ),
    Mutation("data/views/random_views.py", "(2 * self.padding + 1)", "(2 * self.padding)", "data/test_views.py"),
    Mutation("data/hashing.py", "state ^ _shift_right(state, 31)", "state", "data/test_hashing.py"),
    Mutation("data/loader.py", "batches[first:]", "batches", "training/test_faults.py"),
    Mutation(
        "losses/dkd.py", "temperature**2 * labeled_mean(alpha", "labeled_mean(alpha", "losses/test_golden.py -k dkd"
    ),
    Mutation(
        "training/loop/checkpoint.py",
        '    torch.set_rng_state(states[rank]["cpu"])\n',
        "",
        "training/test_faults.py -m chaos -k dropout",
    ),
    Mutation(
        "training/loop/checkpoint.py",
        "    step.optimizer.load_state_dict(checkpoint.optimizer)\n",
        "",
        "training/test_faults.py",
    ),
    Mutation("runs/sealed.py", "!= MARK + _digest(file):", "== MARK:", "training/test_faults.py"),
    Mutation("training/loop/step.py", "stopped = stopped + ~torch.isfinite(norm)", "pass", "training/test_guards.py"),
]


def main(out: Path | None = None) -> None:
    """Print and write a line per mutation, with the change and the first test that failed."""
    lines = []
    for number, mutation in enumerate(MUTATIONS):
        with tempfile.TemporaryDirectory() as folder:
            noticed = _try(mutation, Path(folder))
        changed = f"{mutation.line.strip()} -> {mutation.broken.strip() or '(left out)'}"
        lines.append(
            f"{number + 1:>2}  {mutation.file:<28} {changed}\n    {noticed or 'NOT NOTICED by ' + mutation.tests}"
        )
        print(lines[-1], flush=True)
    if out is not None:
        out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if any("NOT NOTICED" in line for line in lines):
        raise typer.Exit(1)


def _try(mutation: Mutation, folder: Path) -> str | None:
    """Return the first test that fails with the mutation, or None if all pass."""
    shutil.copytree(ROOT / "src" / "tutelage", folder / "tutelage")
    path = folder / "tutelage" / mutation.file
    text = path.read_text(encoding="utf-8")
    assert text.count(mutation.line) == 1, mutation
    path.write_text(text.replace(mutation.line, mutation.broken), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-n0",
        "-p",
        "no:cacheprovider",
        *f"tests/{mutation.tests}".split(),
    ]
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0].partition(" - ")[0] if failed else None


if __name__ == "__main__":
    typer.run(main)
