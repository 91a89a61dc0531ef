"""Networks of the user's own: modules where a name is taken, and functions named on the command line."""

from __future__ import annotations

import copy
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor, nn

from harness.processes import in_process, words
from harness.runs import SMALL, STEPS
from tutelage import TutelageError, create_model, distill, evaluate, resume, train
from tutelage.cli import main
from tutelage.export import export_student
from tutelage.models import made_known
from tutelage.report import write_report
from tutelage.runs import load_student
from tutelage.training.loop.step import Step

CODE = """
import torch
from torch import nn

def small(num_classes=7):
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(8, num_classes))

def fixed():
    return small(10)

def number():
    return 7

width = 3
"""


class Tiny(nn.Module):
    """A network that tutelage knows nothing of."""

    def __init__(self, width: int = 8, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2))
        self.body = nn.Sequential(nn.Conv2d(width, 2 * width, 3, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU())
        self.head = nn.Linear(2 * width, classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(self.stem(images)).mean((2, 3)))
        return logits


class Unusual(nn.Module):
    """A network whose forward pass is what it is given."""

    def __init__(self, output: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.layer, self.output = nn.Linear(2, 2), output

    def forward(self, images: Tensor) -> Any:
        return self.output(images)


def trained(width: int = 16, classes: int = 10) -> Tiny:
    """A network that has seen images, as its running statistics show."""
    torch.manual_seed(0)
    network = Tiny(width, classes)
    network(torch.randn(8, 3, 8, 8))
    return network


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module of the user's, in which the command is started."""
    (tmp_path / "nets_of_mine.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("tutelage.models.given._builders", {})
    monkeypatch.delitem(sys.modules, "nets_of_mine", raising=False)
    return tmp_path


def weights(folder: Path) -> bytes:
    return (folder / "student" / "model.safetensors").read_bytes()


def stop_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    original, left = Step.__call__, [steps]

    def call(self: Step, *arguments: Any) -> None:
        original(self, *arguments)
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    monkeypatch.setattr(Step, "__call__", call)


@pytest.mark.parametrize("method", ["kd", "at"])
def test_teacher_and_student_may_be_modules(method: str, tmp_path: Path) -> None:
    teacher, student = trained(), Tiny()
    before = copy.deepcopy(teacher.state_dict())
    run = tmp_path / "run"
    result = distill(**SMALL, teacher=teacher, student=student, method=method, epochs=2, out=run)
    assert (result.student, result.teacher) == ("module/Tiny", "module/Tiny-2")
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())
    # The module itself was trained, and is what was saved.
    with made_known(student):
        saved = load_student(run)
    assert saved.network is not student and saved.classes == tuple("0123456789")
    images = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(student.eval()(images), saved.network(images))
    assert evaluate(model=str(run), network=student)["top1"] == pytest.approx(result.top1)


def test_a_stopped_run_of_modules_goes_on_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(out: Path) -> None:
        distill(**SMALL, teacher=trained(), student=trained(8), method="kd+at", epochs=2, out=out)

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run(whole)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop_after(patch, STEPS + 2)
        run(cut)
    with pytest.raises(TutelageError, match="module/Tiny-2 is a module that was passed in Python; pass it again"):
        resume(cut)
    resume(cut, network=[Tiny(), trained()])
    assert weights(cut) == weights(whole)


def test_a_network_of_another_width_gets_a_new_classifier(tmp_path: Path) -> None:
    student = Tiny(classes=1000)
    train(**SMALL, model={"name": student, "input_size": 16}, epochs=1, out=tmp_path / "run")
    assert student.head.out_features == 10
    assert "replaces one for 1000" in (tmp_path / "run" / "log.txt").read_text()
    with made_known(Tiny(classes=1000)):
        assert load_student(tmp_path / "run").size == (16, 16)


def test_a_teacher_is_fine_tuned(tmp_path: Path) -> None:
    teacher = {"name": trained(classes=5), "finetune": "head", "epochs": 1}
    result = distill(**SMALL, teacher=teacher, student="resnet8", epochs=1, out=tmp_path / "run")
    assert result.teacher_top1 is not None
    assert (tmp_path / "run" / "teacher" / "student" / "model.safetensors").is_file()


def test_what_timm_knows_of_its_model_is_kept() -> None:
    timm = pytest.importorskip("timm")
    module = timm.create_model("test_resnet", num_classes=10)
    with made_known(module):
        spec = create_model("module/ResNet").spec
    assert (spec.num_classes, spec.mean) == (10, tuple(module.pretrained_cfg["mean"]))


def test_a_random_teacher_is_refused_and_a_random_student_starts_from_scratch(tmp_path: Path) -> None:
    with pytest.raises(TutelageError, match="teacher=module/Tiny has random weights"):
        distill(**SMALL, teacher=Tiny(), student="resnet8", epochs=1, out=tmp_path / "run")
    chosen = {**SMALL, "optimizer": {"name": "auto"}}
    for name, student, lr in (("fresh", Tiny(), 3e-3), ("trained", trained(), 3e-4)):
        train(**chosen, model=student, epochs=1, out=tmp_path / name)
        config = yaml.safe_load((tmp_path / name / "config.yaml").read_text())
        assert config["optimizer"]["lr"] == pytest.approx(lr * (26 / 256) ** 0.5)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Unusual(lambda images: images), r"returns a tensor of shape \(1, 3, 224, 224\); return logits"),
        (Unusual(lambda images: "cat"), "returns str; return logits"),
        (Unusual(nn.Linear(7, 2)), "does not accept images of shape"),
    ],
)
def test_what_gives_no_logits_is_refused(network: nn.Module, message: str, tmp_path: Path) -> None:
    with pytest.raises(TutelageError, match=message):
        train(**SMALL, model=network, epochs=1, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_module_is_not_its_own_teacher(tmp_path: Path) -> None:
    student = Tiny()
    with pytest.raises(TutelageError, match=r"passed twice; pass copy.deepcopy\(module\)"):
        distill(**SMALL, teacher=student, student=student, epochs=1, out=tmp_path / "run")
    student.spec = "mine"  # type: ignore[assignment]
    with pytest.raises(TutelageError, match="has an attribute 'spec'"):
        train(**SMALL, model=student, epochs=1, out=tmp_path / "run")


def test_a_module_is_evaluated_and_exported(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Tiny()
    train(**SMALL, model=network, epochs=1, out=tmp_path / "run")
    found = evaluate(model=network, data=SMALL["data"], split="test")
    record = export_student(network, data=SMALL["data"], out=tmp_path / "export")
    assert record.pytorch_top1 == pytest.approx(found["top1"])
    assert "your own code" in (tmp_path / "export" / "README.md").read_text()
    again = export_student(tmp_path / "run", network=network)
    assert again.pytorch_top1 == pytest.approx(found["top1"])
    with pytest.raises(TutelageError, match="out is missing"):
        export_student(network, data="digits")


@pytest.mark.chaos
def test_a_report_takes_them_again(tmp_path: Path) -> None:
    teacher, student = trained(), Tiny()
    run = tmp_path / "run"
    distill(**SMALL, teacher=teacher, student=student, method="at", epochs=1, out=run)
    bare = write_report(run, out=tmp_path / "bare.html").read_text()
    assert "pass it again" in bare
    full = write_report(run, network=[student, teacher], out=tmp_path / "full.html").read_text()
    assert "pass it again" not in full and "Attention maps" in full


def test_a_function_is_named_on_the_command_line(
    package: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**SMALL, "model": "nets_of_mine:small", "epochs": 1, "out": "run"}
    command(["train", *words(settings)])
    config = json.loads((package / "run" / "student" / "config.json").read_text())
    assert (config["tutelage"]["name"], config["num_classes"]) == ("nets_of_mine:small", 10)
    Image.new("RGB", (32, 32)).save(package / "a.png")
    command(["predict", "run", "a.png", "network=nets_of_mine:small", "top=1"])
    command(["evaluate", "model=run", "network=nets_of_mine:small"])
    command(["inspect", "nets_of_mine:fixed", "size=32"])
    command(["compare", "run", "network=nets_of_mine:small"])
    monkeypatch.setattr("tutelage.models.given._builders", {})
    teacher = {"teacher": "run", "student": "nets_of_mine:fixed", "method": "kd", "network": "nets_of_mine:small"}
    command(["distill", *words({**SMALL, **teacher, "epochs": 1, "out": "distilled"})])
    assert "top-1" in capsys.readouterr().out


def command(arguments: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["tutelage", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nets_of_mine:large", "nets_of_mine has no 'large'"),
        ("nets_of_theirs:small", "there is no Python module 'nets_of_theirs'"),
        ("nets_of_mine:width", "is not callable; name a function that returns a module"),
        ("nets_of_mine:number", "must return a torch.nn.Module; it returned"),
    ],
)
def test_what_is_no_function_of_a_network_is_refused(name: str, message: str, package: Path) -> None:
    with pytest.raises(TutelageError, match=message):
        train(**SMALL, model=name, epochs=1, out=package / "run")


def test_a_stored_name_runs_no_code(package: Path) -> None:
    train(**SMALL, model="nets_of_mine:fixed", epochs=1, out=package / "run")
    (package / "run" / "result.json").rename(package / "result.json")
    assert in_process(_open_them, package) == 0


def _open_them(folder: Path) -> None:
    os.chdir(folder)
    sys.path.insert(0, ".")
    for read in (lambda: create_model("run"), lambda: create_model("run/student"), lambda: resume("run")):
        with pytest.raises(TutelageError, match="may not do that by themselves; pass network=nets_of_mine:fixed"):
            read()
    assert "nets_of_mine" not in sys.modules
    assert resume("run", network="nets_of_mine:fixed").student == "nets_of_mine:fixed"
