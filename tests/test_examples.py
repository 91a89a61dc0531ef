"""Every example runs as it is, offline, and learns something."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cases import SIZE, batch, networks
from harness.examples import run_script
from harness.marks import quickly
from tutelage import Distiller
from tutelage.methods import METHODS, traits_of

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

LINES = {
    "accelerate_script.py": r"epoch 3: loss [\d.]+",
    "custom_method.py": r" *similarity\.layer3  1000 .*",
    "custom_taps.py": r"epoch 4: loss [\d.]+ with ce, at\.relu, at\.add",
    "lightning_module.py": r"epoch 3: loss [\d.]+",
    "losses_only.py": r"ce \d+\.\d{4}, attention \d+\.\d{4}, hint \d+\.\d{4}",
    "own_loop.py": r"epoch 3: loss [\d.]+ = ce [\d.]+, kd [\d.]+, at\.layer1 .*",
    "timm_vit_teacher.py": r"student layer3 with teacher blocks\.2",
    "two_stages.py": r"stage hint, epoch 1: \d+ tensors trained, hint\.layer2, no logits",
}
QUICK = {"own_loop.py", "custom_method.py", "accelerate_script.py", "losses_only.py"}


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*LINES, "sharded_weights.py", "digits.py"}


@pytest.mark.parametrize("name", quickly(LINES, QUICK))
def test_example(name: str, tmp_path: Path) -> None:
    if name == "lightning_module.py":
        pytest.importorskip("lightning")
    said = run_script(EXAMPLES / name, tmp_path)
    assert any(re.fullmatch(LINES[name], line) for line in said.splitlines()), said
    assert not list(tmp_path.iterdir())
    losses = [float(loss) for loss in re.findall(r"epoch +\d+.*? loss ([\d.]+)", said)]
    accuracies = [float(accuracy) for accuracy in re.findall(r"student +([\d.]+) %", said)]
    assert not losses or losses[-1] < 0.9 * losses[-2], said
    assert losses or name == "losses_only.py" or accuracies[-1] > 50, said


@pytest.mark.chaos
def test_the_example_of_several_processes(tmp_path: Path) -> None:
    words = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(EXAMPLES / "sharded_weights.py")]
    done = subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    losses = [float(loss) for loss in re.findall(r"epoch \d: loss ([\d.]+)", done.stdout)]
    assert done.returncode == 0, done.stderr
    assert len(losses) == 3 and losses[-1] < 0.9 * losses[0]
    assert float(re.findall(r"student ([\d.]+) %", done.stdout)[0]) > 30


def test_the_method_of_architecture_md_trains() -> None:
    page = (EXAMPLES.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    try:
        exec(compile(code, "architecture.md", "exec"), {"__name__": "pooled"})
        traits = traits_of(METHODS["pooled"]())
        assert (traits.teacher, traits.cache, traits.stages) == ("any", "yes", 1) and traits.parameters > 0
        student, teacher = networks()
        distiller = Distiller(student, teacher, "kd+pooled", input_size=SIZE)
        out = distiller(*batch())
        assert out.terms.keys() == {"ce", "kd", "pooled.layer3"}
        out.loss.backward()
        assert all(parameter.grad is not None for parameter in distiller.parameters())
    finally:
        METHODS._items.pop("pooled", None)


def test_the_plain_loop_is_short() -> None:
    assert len((EXAMPLES / "own_loop.py").read_text(encoding="utf-8").splitlines()) < 40


def test_an_installed_package_brings_its_methods(tmp_path: Path) -> None:
    installed = tmp_path / "somebodys-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: somebodys\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[tutelage.methods]\nsimilarity = custom_method\n")
    script = tmp_path / "script.py"
    script.write_text(
        f"import importlib, sys\n"
        f"sys.path[:0] = [{str(tmp_path)!r}, {str(EXAMPLES)!r}]\n"
        f"import tutelage.methods\n"
        f"from tutelage.config import DistillSettings, load\n"
        f"importlib.reload(tutelage.methods)\n"  # as it is imported where the package is installed
        f"words = ['data=digits', 'student=resnet8', 'method=kd+similarity', 'similarity.weight=7']\n"
        f"print(load(DistillSettings, *words).methods()['similarity'].weight)\n"
    )
    assert run_script(script, tmp_path) == "7.0\n"
    assert "similarity" not in METHODS
