"""What TensorBoard, W&B and MLflow keep of a short run, read back from their own local stores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import accelerate.tracking
import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tutelage import TutelageError, distill, resume, train

if TYPE_CHECKING:
    from wandb.proto.wandb_internal_pb2 import Record

RUN: dict[str, Any] = {
    "data": {"name": "digits", "fraction": 0.1},
    "batch_size": 64,
    "precision": "fp32",
    "device": "cpu",
}


def wandb_records(folder: Path) -> list[Record]:
    """Reads W&B's offline file: LevelDB's log format (blocks of 32 KiB; crc, length, type) behind a 7-byte header."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("run-*.wandb")
    content, records, place, buffer = path.read_bytes(), [], 7, b""
    while place < len(content):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        length, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        buffer += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            records.append(Record.FromString(buffer))
            buffer = b""
    return records


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of runs: ``teacher`` without loggers, ``student`` with all of them, resumed once it had ended."""
    root = tmp_path_factory.mktemp("loggers")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_PROJECT", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID"):
            patch.delenv(name, raising=False)
        for name in ("CONFIG", "CACHE", "DATA"):
            patch.setenv(f"WANDB_{name}_DIR", str(root / "elsewhere"))
        patch.setenv("WANDB_SILENT", "true")
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        patch.setenv("MLFLOW_TRACKING_URI", (root / "mlruns").as_uri())
        train(**RUN, model="resnet14", epochs=1, loggers=[], out="teacher")
        loggers = ["tensorboard", "wandb", "mlflow"]
        given = {"teacher": "teacher", "student": "resnet8", "method": "kd+at", "epochs": 3}
        distill(**RUN, **given, loggers=loggers, out="student")
        (root / "student" / "result.json").unlink()
        resume("student")
        yield root


@pytest.fixture(scope="module")
def records(runs: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (runs / "student" / "metrics.jsonl").read_text().splitlines()]


def test_tensorboard_has_curves_plan_settings_and_attention_maps(runs: Path, records: list[dict[str, Any]]) -> None:
    events = EventAccumulator(str(runs / "student"), size_guidance={"images": 0, "tensors": 0})
    events.Reload()
    curve = [(event.step, event.value) for event in events.Scalars("train/at.layer2")]
    assert curve == [(record["epoch"], pytest.approx(record["train/at.layer2"])) for record in records]
    plan, config = (
        events.Tensors(f"{name}/text_summary")[0].tensor_proto.string_val[0].decode() for name in ("plan", "config")
    )
    assert "teacher  resnet14" in plan and "at.layer3" in plan
    assert "    temperature: 4.0" in config
    pictures = events.Images("attention")
    assert [picture.step for picture in pictures] == [1, 3]
    # Image, and a column for teacher and student at each of three stages; four rows and the titles.
    assert (pictures[0].width, pictures[0].height) == (7 * 100, 4 * 100 + 50)
    first, last = (np.asarray(Image.open(BytesIO(picture.encoded_image_string))) for picture in pictures)
    columns = range(0, 700, 100)
    moved = [(first[:, place : place + 100] != last[:, place : place + 100]).any() for place in columns]
    assert moved == [False, False, True, False, True, False, True], "the student learns, image and teacher stay"


def test_wandb_keeps_curves_and_settings_in_the_run_folder_offline(runs: Path, records: list[dict[str, Any]]) -> None:
    first, again = sorted((runs / "student" / "wandb").glob("offline-run-*"), key=lambda path: path.stat().st_mtime)
    kept = wandb_records(first)
    steps = [
        {item.key or "/".join(item.nested_key): item.value_json for item in record.history.item}
        for record in kept
        if record.WhichOneof("record_type") == "history"
    ]
    assert [float(step["val/top1"]) for step in steps] == [record["val/top1"] for record in records]
    assert [any(key.startswith("attention") for key in step) for step in steps] == [True, False, True]
    config = {
        update.key: json.loads(update.value_json)
        for record in kept
        for update in [*record.config.update, *record.run.config.update]
    }
    assert config["method"] == "kd+at" and config["kd.temperature"] == 4.0 and config["data.name"] == "digits"
    assert not any(key.startswith("ofd.") for key in config), "settings of a method that is not in the run"
    assert first.name.rpartition("-")[2] == again.name.rpartition("-")[2], "a resumed run goes on as the same run"


def test_mlflow_keeps_curves_and_settings(runs: Path, records: list[dict[str, Any]]) -> None:
    from mlflow import MlflowClient

    client = MlflowClient((runs / "mlruns").as_uri())
    experiment = client.get_experiment_by_name("tutelage")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "student" and run.info.status == "FINISHED"
    assert run.data.params["method"] == "kd+at" and run.data.params["kd.temperature"] == "4.0"
    curve = [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, "train/kd")]
    assert curve == [(record["epoch"], record["train/kd"]) for record in records]


def test_no_loggers_leave_nothing(runs: Path) -> None:
    assert not list((runs / "teacher").glob("events*"))
    assert not (runs / "teacher" / "loggers.json").exists() and not (runs / "teacher" / "wandb").exists()


def test_loggers_do_not_change_what_is_learnt(runs: Path, tmp_path: Path) -> None:
    given = {"teacher": runs / "teacher", "student": "resnet8", "method": "kd+at", "epochs": 3, "loggers": []}
    distill(**RUN, **given, out=tmp_path / "quiet")
    name = "student/model.safetensors"
    assert (tmp_path / "quiet" / name).read_bytes() == (runs / "student" / name).read_bytes()


def test_a_logger_that_is_not_installed_stops_the_run_before_anything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerate.tracking, "_available_trackers", [])
    with pytest.raises(TutelageError, match=r"loggers includes wandb.*pip install 'tutelage\[loggers\]'"):
        train(data="no/such/folder", model="resnet8", loggers=["wandb"], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(TutelageError, match="did you mean tensorboard"):
        train(data="digits", model="resnet8", loggers=["tensorbord"], out=tmp_path / "run")
