"""A long run takes no more memory, files or threads at its end than near its start. Slow: for make chaos."""

from __future__ import annotations

from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.processes import FORKED, settle
from harness.runs import SMALL
from tutelage import distill, train
from tutelage.training.loop.fit import Fit

RUN: dict[str, Any] = {
    **SMALL,
    "data": {"name": "digits", "fraction": 0.02},
    "batch_size": 10,
    "log_every": 1,
    "loggers": ["tensorboard"],
}
EPOCHS = 1000


def run_long(folder: Path, seen: Queue[list[tuple[float, int, int]]]) -> None:
    settle()
    train(**RUN, model="resnet8", epochs=1, out=folder / "teacher")
    figures, finish = [], Fit._finish_epoch

    def look(self: Fit, *arguments: Any) -> None:
        finish(self, *arguments)
        process = psutil.Process()
        figures.append((process.memory_info().rss / 1e6, process.num_fds(), process.num_threads()))

    Fit._finish_epoch = look  # type: ignore[method-assign]
    distill(
        **RUN, teacher=str(folder / "teacher"), student="resnet8", method="kd+at", epochs=EPOCHS, out=folder / "run"
    )
    seen.put(figures)


@pytest.mark.chaos
def test_a_thousand_epochs(tmp_path: Path) -> None:
    seen = FORKED.Queue()
    process = FORKED.Process(target=run_long, args=(tmp_path, seen))
    process.start()
    figures = seen.get(timeout=1200)
    process.join()
    assert len(figures) == EPOCHS
    # The last epoch also draws where the networks look, for TensorBoard.
    (early, files, threads), (late, files_late, threads_late) = figures[99], figures[-2]
    print(f"{early:.1f} MB after 100 epochs, {late:.1f} MB after {EPOCHS - 1}; {files} and {files_late} files")
    assert late - early < 10
    assert (files, threads) == (files_late, threads_late)
