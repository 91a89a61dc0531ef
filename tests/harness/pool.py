"""Gloo processes that live as long as the test session, so that a test in several of them costs milliseconds."""

from __future__ import annotations

import os
import socket
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any

import torch.distributed as dist

from harness.processes import FORKED, settle


def _serve(rank: int, world: int, port: int, connection: Connection) -> None:
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "ACCELERATE_USE_CPU": "true",
    }
    settle()
    dist.init_process_group("gloo", rank=rank, world_size=world)
    while (call := connection.recv()) is not None:
        function, arguments = call
        try:
            connection.send((True, function(rank, *arguments)))
        except Exception:
            connection.send((False, traceback.format_exc()))
    dist.destroy_process_group()


class Pool:
    """Runs a function of ``(rank, *arguments)`` in every one of so many processes and returns what each returned."""

    def __init__(self, world: int = 2) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        pairs = [FORKED.Pipe() for _ in range(world)]
        self._connections = [ours for ours, _ in pairs]
        self._processes = [
            FORKED.Process(target=_serve, args=(rank, world, port, theirs), daemon=True)
            for rank, (_, theirs) in enumerate(pairs)
        ]
        for process in self._processes:
            process.start()

    def run(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        for connection in self._connections:
            connection.send((function, arguments))
        answers: dict[Connection, Any] = {}
        while len(answers) < len(self._connections):
            for connection in wait([each for each in self._connections if each not in answers]):
                good, answers[connection] = connection.recv()
                if not good:
                    # The others may wait for this one for ever.
                    self.kill()
                    raise AssertionError(answers[connection])
        return [answers[connection] for connection in self._connections]

    def kill(self) -> None:
        for process in self._processes:
            process.kill()

    def close(self) -> None:
        for connection, process in zip(self._connections, self._processes):
            if process.is_alive():
                connection.send(None)
            process.join(timeout=10)
