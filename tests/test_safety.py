"""A whole run makes no connection, and leaves no secret behind."""

from __future__ import annotations

import os
import sys
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import pytest

from harness.marks import need
from harness.processes import FORKED, settle
from tutelage import distill, evaluate, train
from tutelage.export import export_student
from tutelage.report import write_report

SECRET = "hf_averysecrettoken"
RUN: dict[str, Any] = {
    "data": {"name": "digits", "fraction": 0.1},
    "batch_size": 32,
    "epochs": 1,
    "precision": "fp32",
    "compile": "off",
    "device": "cpu",
}


def work(folder: Path, seen: Queue[list[str]]) -> None:
    """From a teacher to a report and an export, with an ear on what the process asks of the network."""
    settle()
    os.environ |= {"HF_TOKEN": SECRET, "AWS_SECRET_ACCESS_KEY": SECRET, "TUTELAGE_CACHE": str(folder / "cache")}
    asked: list[str] = []

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        local = event == "socket.connect" and isinstance(arguments[1], (str, bytes))
        if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname") and not local:
            asked.append(f"{event} {arguments[1:]}")

    sys.addaudithook(hear)
    train(**RUN, model="resnet8", out=folder / "teacher")
    distill(**RUN, teacher=str(folder / "teacher"), student="timm/resnet10t", method="kd", out=folder / "student")
    evaluate(model=str(folder / "student"), device="cpu")
    write_report(folder / "student")
    export_student(folder / "student", format=["safetensors", "onnx"], images=32)
    seen.put(asked)


@pytest.mark.chaos
def test_no_connection_and_no_secret(tmp_path: Path) -> None:
    need("onnx")
    seen = FORKED.Queue()
    process = FORKED.Process(target=work, args=(tmp_path, seen))
    process.start()
    assert seen.get(timeout=300) == []
    process.join()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
