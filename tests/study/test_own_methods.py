"""Studies of methods that a user's script and module register, trained in worker processes of each kind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from harness.runs import SMALL
from tutelage import TutelageError
from tutelage.methods import METHODS, Method, Pair
from tutelage.study.workers import start_workers
from tutelage.terms import Stage

MODULE = """
from tutelage.methods import METHODS, Method
from tutelage.terms import Stage

class Alone(Method):
    @property
    def needs_teacher(self):
        return False

    def stages(self, pair):
        return [Stage("train", pair.epochs)]

@METHODS.register("weighted")
class Weighted(Alone):
    weight: float = 1.0
"""
SCRIPT = """
import json, multiprocessing, sys
from my_methods import Alone
from tutelage.methods import METHODS
from tutelage.study import study

@METHODS.register("scripted")
class Scripted(Alone):
    pass

if __name__ == "__main__":
    multiprocessing.get_all_start_methods = lambda: [sys.argv[1]]
    study(json.loads(sys.argv[2]))
"""


@pytest.mark.parametrize("start", ["spawn", "forkserver"])
@pytest.mark.chaos
def test_worker_processes_know_the_methods_of_the_script(start: str, tmp_path: Path) -> None:
    (tmp_path / "my_methods.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    grid = {"method": ["weighted", "scripted"]}
    settings = {**SMALL, "student": "resnet8", "epochs": 1, "grid": grid, "seeds": 1, "weighted": {"weight": 3}}
    command = [sys.executable, "script.py", start, json.dumps(settings | {"out": "study"})]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "study" / "study.json").read_text(encoding="utf-8"))
    assert (found["runs"], found["failed"]) == (["runs/weighted-0", "runs/scripted-0"], {})
    config = yaml.safe_load((tmp_path / "study" / "runs" / "weighted-0" / "config.yaml").read_text(encoding="utf-8"))
    assert (config["method"], config["weighted"]) == ("weighted", {"weight": 3.0})


def test_a_method_that_no_worker_can_import_is_refused() -> None:
    class Local(Method):
        def stages(self, pair: Pair) -> list[Stage]:
            return [Stage("train", pair.epochs)]

    METHODS.register("local")(Local)
    try:
        with pytest.raises(TutelageError, match="method 'local': .* define it at the top level"), start_workers(1):
            pass
    finally:
        del METHODS._items["local"]
