"""Teachers that do not have the data's classes: fine-tuned first, mapped by name, or read for their features alone."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from harness.pool import Pool
from harness.processes import kill_after
from harness.runs import SMALL, STEPS
from tutelage import TutelageError, create_model, distill, evaluate, resume, train
from tutelage.config import DistillSettings, load
from tutelage.models import match_classes, read_names, save_model
from tutelage.training import fill_cache, prepare_teacher
from tutelage.training.evaluation.neighbours import nearest_classes
from tutelage.training.feeding.targets import identity
from tutelage.training.job.job import build_job
from tutelage.training.loop.step import Step

RUN: dict[str, Any] = {
    **SMALL,
    "data": {**SMALL["data"], "validation": 0.05},
    "student": "resnet8",
    "epochs": 2,
    "validate_every": 9,
}
FULL = {"name": "resnet8", "finetune": "full", "epochs": 2, "lr": 0.01}
NAMES = ("spare", *"9876543210", "other")


def saved(folder: Path, name: str, classes: tuple[str, ...] | None, size: tuple[int, int] | None = None) -> Path:
    """Saves a network with random weights as one that says what its classes, size and normalisation are."""
    torch.manual_seed(1)
    model = create_model(name, len(classes) if classes else None)
    model.spec = replace(model.spec, classes=classes, input_size=size, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    save_model(model, folder, model.spec)
    return folder


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("stranger") / "model", "resnet8", NAMES, (24, 24))


@pytest.fixture(scope="module")
def headless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transformer without a classifier, as self-supervised ones are published."""
    import timm

    from tutelage.models import ModelSpec

    torch.manual_seed(1)
    model = timm.create_model("test_vit", num_classes=0, img_size=32)
    spec = ModelSpec("timm/test_vit", 0, (32, 32), (0.5,) * 3, (0.5,) * 3)
    folder = tmp_path_factory.mktemp("headless") / "model"
    save_model(model, folder, spec)
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images without labels."""
    folder = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    for number in range(40):
        Image.fromarray(draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    distill(**RUN, teacher=FULL, out=out)
    return out


def record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "teacher.json").read_text())


def message(**config: Any) -> str:
    """Returns the error of a distillation that must not start, and checks that nothing was written for it."""
    with pytest.raises(TutelageError) as error:
        distill(**{**RUN, "out": "nowhere", **config})
    assert not Path("nowhere").exists()
    return str(error.value)


# Fine-tuning


def test_the_fine_tuned_teacher_is_a_run_of_its_own(whole: Path) -> None:
    files = {path.name for path in (whole / "teacher").iterdir()}
    assert files >= {"config.yaml", "metrics.jsonl", "checkpoints", "student", "result.json"}
    found = json.loads((whole / "result.json").read_text())
    theirs = json.loads((whole / "teacher" / "result.json").read_text())
    assert theirs["epochs"] == 2 and found["teacher_top1"] == theirs["top1"]
    assert record(whole)["top1"] == theirs["validation_top1"]
    assert record(whole)["measure"] == "top-1 accuracy"
    assert any("fine-tuned on these data: all layers, 2 epochs" in note for note in record(whole)["notes"])
    assert "fine-tuned on these data" in (whole / "log.txt").read_text()
    again = load(DistillSettings, whole / "config.yaml")
    assert again.teacher.name == "resnet8" and again.teacher.finetune == "full"


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("steps", "finished"), [(STEPS + 2, 0), (2 * STEPS + 2, 0), (3 * STEPS + 2, 1)], ids=["teacher", "start", "student"]
)
def test_killed_in_either_part_and_resumed_is_the_same(whole: Path, tmp_path: Path, steps: int, finished: int) -> None:
    out = tmp_path / "killed"
    kill_after(steps, Step, "__call__", "distill", {**RUN, "teacher": FULL, "out": str(out)})
    metrics = out / "metrics.jsonl"
    assert (len(metrics.read_text().splitlines()) if metrics.exists() else 0) == finished
    assert (out / "teacher" / "result.json").exists() == (steps > 2 * STEPS)
    resume(out)
    for weights in ("teacher/student/model.safetensors", "student/model.safetensors"):
        assert (out / weights).read_bytes() == (whole / weights).read_bytes()
    assert record(out)["weights_sha256"] == record(whole)["weights_sha256"]


def test_head_trains_the_new_classifier_alone(stranger: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    settings = {**RUN, "epochs": 1, "teacher": {"name": str(stranger), "finetune": "head", "epochs": 1}, "out": out}
    distill(**settings)
    before, after = create_model(str(stranger)), create_model(str(out / "teacher"))
    assert after.spec.num_classes == 10 and after.spec.classes == tuple("0123456789")
    for name, value in before.state_dict().items():
        assert torch.equal(value, after.state_dict()[name]) != name.startswith("fc."), name
    # Its input is its own: larger than the images, and normalised as it was.
    assert (after.spec.input_size, after.spec.mean, after.spec.std) == ((24, 24), (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))
    assert "only the classifier is trained (650 parameters)" in (out / "teacher" / "log.txt").read_text()
    assert evaluate(model=str(out / "teacher"), device="cpu")["top1"] == pytest.approx(
        json.loads((out / "teacher" / "result.json").read_text())["top1"]
    )
    with pytest.raises(TutelageError, match="exists; set another out"):
        distill(**settings)
    (out / "stale").touch()
    distill(**{**settings, "teacher": FULL | {"epochs": 1}, "overwrite": True})
    assert not (out / "stale").exists() and create_model(str(out / "teacher")).spec.input_size == (16, 16)


def test_runs_may_share_a_fine_tuned_teacher(whole: Path, tmp_path: Path) -> None:
    settings = load(DistillSettings, {**RUN, "teacher": FULL, "method": "kd+at", "epochs": 7})
    written = (whole / "teacher" / "result.json").stat().st_mtime_ns
    shared = prepare_teacher(settings, whole / "teacher")
    assert shared.teacher.name == str(whole / "teacher") and shared.teacher.finetune is None
    assert shared.method == "kd+at" and (whole / "teacher" / "result.json").stat().st_mtime_ns == written
    other = load(DistillSettings, {**RUN, "teacher": FULL | {"epochs": 3}})
    with pytest.raises(TutelageError, match=r"trained with other settings \(epochs, schedule\)"):
        prepare_teacher(other, whole / "teacher")
    alone = load(DistillSettings, {**RUN, "method": "none"})
    assert prepare_teacher(alone, tmp_path / "none") is alone


def run_on_one_rank(rank: int, out: str) -> float | None:
    teacher = FULL | {"epochs": 1}
    return distill(**{**RUN, "epochs": 1, "teacher": teacher, "out": out}).teacher_top1


@pytest.mark.chaos
def test_two_processes_fine_tune_together(pool: Pool, tmp_path: Path) -> None:
    first, second = pool.run(run_on_one_rank, str(tmp_path / "run"))
    assert first == second == json.loads((tmp_path / "run" / "teacher" / "result.json").read_text())["top1"]


def test_what_does_not_go_together_is_said_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "teacher.finetune takes one teacher" in message(teacher={"name": ["a", "b"], "finetune": "head"})
    assert "either fine-tuned" in message(teacher={"name": "a", "finetune": "head", "classes": "own"})
    assert "teacher.lr only applies to fine-tuning" in message(teacher={"name": "a", "lr": 0.1})
    assert "mean and std belong together" in message(student={"name": "resnet8", "mean": [0.5] * 3}, method="none")
    assert "teacher.finetune=full" in message(teacher={"name": "resnet8", "finetune": "head"})
    text = message(teacher=str(saved(tmp_path / "foreign", "resnet8", tuple("abcdefghijkl"))))
    assert all(way in text for way in ("teacher.finetune=head", "teacher.classes=own", "tutelage train", "method=at"))
    with pytest.raises(TutelageError, match="teacher.finetune.*there are no targets yet"):
        fill_cache(**{**RUN, "teacher": FULL, "cache": {"views": 1}})


def test_any_network_can_be_trained_by_its_head(stranger: Path, tmp_path: Path) -> None:
    weights = stranger / "model.safetensors"
    model = {"name": "resnet8", "weights": str(weights)}
    settings = {key: value for key, value in RUN.items() if key not in ("student", "optimizer")}
    train(**{**settings, "epochs": 1}, model=model, trainable="head", out=tmp_path / "run")
    before, after = create_model(str(stranger)).state_dict(), create_model(str(tmp_path / "run")).state_dict()
    assert {name for name in before if not torch.equal(before[name], after[name])} == {"fc.weight", "fc.bias"}
    assert "replaces one for 12" in (tmp_path / "run" / "log.txt").read_text()


# Classes by name


def test_classes_are_mapped_by_name(stranger: Path, tmp_path: Path) -> None:
    settings = load(DistillSettings, {**RUN, "teacher": {"name": str(stranger), "classes": "own"}})
    job = build_job(settings)
    images = torch.rand(3, 3, 16, 16)
    network = create_model(str(stranger)).eval()
    with torch.no_grad():
        expected = network(job.teacher.normalization(images))[:, list(range(10, 0, -1))]
        torch.testing.assert_close(job.teacher(images), expected)
    assert job.teacher.network.spec.classes == tuple("0123456789")

    # Another order is another teacher: nothing stored of one is read for the other.
    Path(tmp_path / "names.txt").write_text("\n".join("0123456789ab"))
    by_file = settings.teacher.model_copy(update={"classes": str(tmp_path / "names.txt")})
    other = build_job(settings.model_copy(update={"teacher": by_file}))
    assert identity(job) != identity(other)

    distill(**{**RUN, "epochs": 1, "teacher": settings.teacher.model_dump(), "out": tmp_path / "run"})
    (note,) = record(tmp_path / "run")["notes"]
    assert note.startswith("kept 10 of its 12 classes (0: 0; 1: 1; ") and record(tmp_path / "run")["top1"] >= 0


def test_a_class_the_teacher_has_not(stranger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("names.json").write_text(json.dumps([f"number {name}" for name in NAMES]))
    text = message(teacher={"name": str(stranger), "classes": "names.json"})
    assert "teacher.classes=names.json: class '0' is not among the model's 12" in text and "and 7 more" in text
    assert "12 classes, but there are 1000 names" in message(teacher={"name": str(stranger), "classes": "imagenet-1k"})
    assert "use 'own', 'imagenet-1k' or a file" in message(teacher={"name": str(stranger), "classes": "imagnet"})


def test_wordnet_ids_and_their_lemmas_are_the_same_class() -> None:
    ids = read_names("imagenet-1k")
    assert match_classes(["n01440764", "Tench", "tinca_TINCA", "golf ball", "chain-saw"][:1], ids) == [0]
    assert match_classes(["tinca_TINCA", "Golf Ball", "chain-saw", "n03028079"], ids) == [0, 574, 491, 497]
    assert match_classes(["n03028079", "n01440764"], ["tench", "church"]) == [1, 0]
    with pytest.raises(TutelageError, match=r"'crane' matches several.*n02012849 \(crane\) and n03126707 \(crane\)"):
        match_classes(["crane"], ids)
    with pytest.raises(TutelageError, match="'golfball' is not among.*golf ball"):
        match_classes(["golfball"], ids)
    with pytest.raises(TutelageError, match="'tench' and 'Tinca tinca' all match"):
        match_classes(["tench", "Tinca tinca"], ids)


# Without a head, without labels


def test_neighbours_vote_by_their_cosines() -> None:
    draw = torch.Generator().manual_seed(0)
    bank, features = torch.randn(60, 8, generator=draw), torch.randn(30, 8, generator=draw)
    labels = torch.randint(0, 4, (60,), generator=draw)
    expected = []
    for feature in features:
        cosines = torch.nn.functional.cosine_similarity(bank, feature, dim=1)
        votes = [0.0] * 4
        for place in cosines.argsort(descending=True)[:20].tolist():
            votes[labels[place]] += math.exp(cosines[place] / 0.07)
        expected.append(votes.index(max(votes)))
    assert nearest_classes(bank, labels, features, 4).tolist() == expected


def test_a_headless_teacher_teaches_features(headless: Path, tmp_path: Path) -> None:
    result = distill(**{**RUN, "epochs": 1, "teacher": str(headless), "method": "at", "out": tmp_path / "run"})
    assert result.teacher_top1 is None and result.top1 is not None
    found = record(tmp_path / "run")
    # Neighbours of random features are still far better than a tenth on digits.
    assert found["top1"] > 30 and found["measure"].startswith("accuracy of the 20 nearest neighbours")
    assert f"{found['top1']:.2f} % (20 nearest neighbors)" in (tmp_path / "run" / "log.txt").read_text()
    with pytest.raises(TutelageError, match=r"the teacher has no classifier, the data have 10.*teacher\.finetune=head"):
        distill(**RUN, teacher=str(headless), method="kd", out=tmp_path / "none")
    # One with other classes is measured the same way: by what its classifier reads.
    foreign = saved(tmp_path / "foreign", "resnet8", tuple("abcdefghijkl"), (24, 24))
    distill(**{**RUN, "epochs": 1, "teacher": str(foreign), "method": "at", "out": tmp_path / "other"})
    assert record(tmp_path / "other")["top1"] > 30


@pytest.mark.chaos
def test_a_headless_teacher_gets_a_classifier(headless: Path, tmp_path: Path) -> None:
    teacher = {"name": str(headless), "finetune": "head", "epochs": 1}
    distill(**{**RUN, "epochs": 1, "teacher": teacher, "out": tmp_path / "run"})
    assert create_model(str(tmp_path / "run" / "teacher")).spec.num_classes == 10


def test_images_without_labels(
    headless: Path, stranger: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = {**RUN, "data": str(pictures), "epochs": 1}
    assert "has no labels" in message(data=str(pictures), method="none")
    assert "set kd.labels=false" in message(data=str(pictures), teacher=str(stranger))
    assert "needs them" in message(data=str(pictures), teacher=str(stranger), method="at_gradient")

    result = distill(**run, teacher=str(stranger), kd={"labels": False}, out="taught")
    assert (result.top1, result.top5, result.best_top1, result.teacher_top1) == (None, None, None, None)
    assert result.agreement is not None and 0 <= result.agreement <= 100 and result.best_epoch == 1
    (line,) = read_metrics(Path("taught"))
    assert "val/agreement" in line and "val/top1" not in line and "train/ce" not in line
    assert create_model("taught").spec.classes == NAMES
    assert record(Path("taught"))["top1"] is None
    assert evaluate(model="taught", device="cpu")["top1"] is None

    result = distill(**run, teacher=str(headless), method="at", out="features")
    assert (result.top1, result.agreement) == (None, None)
    assert "no labels to measure it by" in Path("features/log.txt").read_text()
    # What was learnt goes on: with a classifier of its own, on data with labels.
    settings = {key: value for key, value in RUN.items() if key != "student"}
    train(**{**settings, "epochs": 1}, model="features", trainable="head", out="used")


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
