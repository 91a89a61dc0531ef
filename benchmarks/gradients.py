"""Measure the cost of gradients by term (``log_gradients=true``) in the steps of a real run.

    python benchmarks/gradients.py [--data FOLDER] [--method kd+at] [--seeds 3] [KEY=VALUE …]

Every second step of a run measures gradients, and is compared with the step after it. The result is the share that this
adds to a run that measures gradients every ``log_every`` steps, as mean ± standard deviation over seeds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from typing import Any

import tutelage
from performance import find_data
from tutelage.config import DistillSettings, as_mapping
from tutelage.training.loop import Step

WARM_UP = 4
LOG_EVERY = DistillSettings.model_fields["log_every"].default


class TimedStep:
    """A replacement of :meth:`Step.__call__` that records the time of steps with and without measured gradients."""

    def __init__(self) -> None:
        self.seconds: dict[bool, list[float]] = {True: [], False: []}
        self.original = Step.__call__

    def __enter__(self) -> TimedStep:
        timed = self

        def call(step: Step, *inputs: Any) -> None:
            start = time.perf_counter()
            timed.original(step, *inputs)
            timed.seconds[inputs[-1] is not None].append(time.perf_counter() - start)

        Step.__call__ = call  # type: ignore[method-assign]
        return self

    def __exit__(self, *error: object) -> None:
        Step.__call__ = self.original  # type: ignore[method-assign]

    def added(self) -> float:
        """Return the median time that a measurement adds, as a multiple of a step."""
        pairs = list(zip(self.seconds[True], self.seconds[False]))[WARM_UP:]
        return statistics.median(measured / plain - 1 for measured, plain in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--method", default="kd+at")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    arguments = parser.parse_args()
    data, size = (arguments.data, []) if arguments.data else find_data()
    shared = [f"data={data}", *size, "epochs=1", "compile=off", "precision=fp32", "loggers=[]", *arguments.settings]
    words = ["student=resnet8", f"method={arguments.method}", "log_every=2", "log_gradients=true"]
    shares = []
    with tempfile.TemporaryDirectory() as folder:
        tutelage.train(**as_mapping(*shared, "model=resnet20", f"out={folder}/teacher"))
        for seed in range(arguments.seeds):
            out = [f"seed={seed}", f"teacher={folder}/teacher", f"out={folder}/{seed}"]
            with TimedStep() as timed:
                tutelage.distill(**as_mapping(*shared, *words, *out))
            added = timed.added()
            shares.append(100 * added / LOG_EVERY)
            print(
                f"seed {seed}: measuring takes {added:.2f} steps; every {LOG_EVERY} steps: {shares[-1]:.2f} % of a run"
            )
    deviation = statistics.stdev(shares) if len(shares) > 1 else 0.0
    print(f"{arguments.method}: {statistics.mean(shares):.2f} ± {deviation:.2f} % of a run")


if __name__ == "__main__":
    main()
