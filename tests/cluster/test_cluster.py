"""Real launchers: torchrun, the scripts of examples/cluster, a host that dies, several hosts. Slow: for make chaos."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tutelage import resume
from tutelage.runs.folder import RunFolder

pytestmark = pytest.mark.chaos
SCRIPTS = Path(__file__).resolve().parents[2] / "examples" / "cluster"
WORDS = "data=digits data.fraction=0.2 model=resnet8 batch_size=24 precision=fp32 compile=off device=cpu log_every=1"
LATE = """
import os, sys
from tutelage.cli import main
from tutelage.training.loop.step import Step

original, taken = Step.__call__, 0

def call(self, *arguments):
    global taken
    original(self, *arguments)
    taken += 1
    if taken == 14 and os.environ["RANK"] == "1":
        {act}

Step.__call__ = call
main()
"""


@pytest.fixture
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUTELAGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(SCRIPTS.parents[1] / "src"))
    return tmp_path


def epochs(folder: Path) -> list[int]:
    return [json.loads(line)["epoch"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("act", "said"),
    [("raise MemoryError('of a worker')", "out of memory"), ("os.kill(os.getpid(), 9)", "SIGKILL")],
    ids=["an error", "killed"],
)
@pytest.mark.parametrize("processes", [1, 3])
def test_a_worker_that_dies_ends_the_run_which_others_can_resume(
    act: str, said: str, processes: int, somewhere: Path
) -> None:
    (somewhere / "late.py").write_text(LATE.format(act=act))
    launch = ["torchrun", "--nproc_per_node=2", "--standalone"]
    words = f"late.py train {WORDS} epochs=3 checkpoint_minutes=0 out=run"
    died = subprocess.run([*launch, *words.split()], capture_output=True, text=True, timeout=300)
    assert died.returncode != 0 and said in died.stderr + died.stdout
    assert not RunFolder(somewhere / "run").is_finished()
    if processes == 1:
        resume(somewhere / "run")
    else:
        again = ["torchrun", f"--nproc_per_node={processes}", "--standalone", "-m", "tutelage", "resume", "run"]
        subprocess.run(again, check=True, timeout=300)
    assert RunFolder(somewhere / "run").is_finished()
    assert epochs(somewhere / "run") == [1, 2, 3]


@pytest.fixture
def cluster(somewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for SLURM's programs: ``srun`` starts the command once for each of two nodes, here."""
    programs = {
        "srun": 'for node in 0 1; do "$@" & pids="$pids $!"; done\n'
        'trap "kill -TERM $pids" TERM\nstatus=0\n'
        "for pid in $pids; do while kill -0 $pid 2>/dev/null; do wait $pid || status=$?; done; done\nexit $status\n",
        "scontrol": 'echo "$@" >> scontrol.txt\n[ "$1" = show ] && echo localhost\nexit 0\n',
    }
    for name, text in programs.items():
        (somewhere / "bin").mkdir(exist_ok=True)
        (somewhere / "bin" / name).write_text(f"#!/bin/bash\n{text}")
        (somewhere / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{somewhere / 'bin'}{os.pathsep}{os.environ['PATH']}")
    job = {"JOB_ID": "7", "JOB_NODELIST": "localhost", "NNODES": "2", "GPUS_ON_NODE": "1"}
    for name, value in job.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("PORT", "29871")
    return somewhere


def test_a_job_that_is_preempted_goes_back_into_the_queue_and_on(cluster: Path) -> None:
    words = WORDS.replace("model=", "student=") + " method=none epochs=40"
    script = [str(SCRIPTS / "slurm.sh"), "run", *words.split()]
    job = subprocess.Popen(script, start_new_session=True)
    metrics = cluster / "run" / "metrics.jsonl"
    while job.poll() is None and not (metrics.exists() and len(epochs(cluster / "run")) >= 2):
        time.sleep(0.1)  # there is nothing else to wait for
    srun = int(subprocess.check_output(["pgrep", "-g", str(job.pid), "-f", "bin/srun"], text=True).split()[0])
    os.kill(srun, signal.SIGTERM)  # as SLURM does, to what the job started
    assert job.wait(timeout=120) != 0
    assert "requeue 7" in (cluster / "scontrol.txt").read_text()
    done = len(epochs(cluster / "run"))
    assert 2 <= done < 40
    subprocess.run([*script[:2], *words.replace("epochs=40", "epochs=1").split()], check=True, timeout=600)
    assert epochs(cluster / "run") == list(range(1, 41))
    assert "resuming run after" in (cluster / "run" / "log.txt").read_text()


@pytest.fixture
def hosts() -> Iterator[list[str]]:
    """Two hosts with a network of their own between them."""
    made = [f"tutelage{number}" for number in range(2)]
    commands = [
        *(f"ip netns add {name}" for name in made),
        f"ip link add veth0 netns {made[0]} type veth peer name veth1 netns {made[1]}",
    ]
    for number, name in enumerate(made):
        commands += [
            f"ip -n {name} addr add 10.99.0.{number + 1}/24 dev veth{number}",
            f"ip -n {name} link set veth{number} up",
            f"ip -n {name} link set lo up",
        ]
    try:
        for command in commands:
            made_it = subprocess.run(command.split(), capture_output=True, text=True)
            if made_it.returncode:
                pytest.skip(f"no network of two hosts here: {command}: {made_it.stderr.strip()}")
        yield made
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def test_two_hosts(somewhere: Path, hosts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODES", "2")
    monkeypatch.setenv("HEAD", "10.99.0.1")
    words = f"train {WORDS} epochs=2 out=run"
    started = []
    for number, name in enumerate(hosts):
        monkeypatch.setenv("GLOO_SOCKET_IFNAME", f"veth{number}")
        monkeypatch.setenv("NODE", str(number))
        command = ["ip", "netns", "exec", name, str(SCRIPTS / "hosts.sh"), *words.split()]
        started.append(subprocess.Popen(command))
    assert [process.wait(timeout=300) for process in started] == [0, 0]
    assert epochs(somewhere / "run") == [1, 2]
