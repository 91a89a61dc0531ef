"""Programs on a terminal: what they show there."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Sequence
from pathlib import Path


def on_a_terminal(command: Sequence[str], columns: int, stdout: Path | None = None) -> str:
    """Runs a program on a terminal of its own and returns all it writes there; ``stdout`` goes to a file instead."""
    screen, own = pty.openpty()
    fcntl.ioctl(own, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns)}
    out = os.open(stdout, os.O_WRONLY | os.O_CREAT) if stdout is not None else own
    with subprocess.Popen(command, stdin=own, stdout=out, stderr=own, env=environment):
        os.close(own)
        return _read_all(screen)


def _read_all(screen: int) -> str:
    parts = []
    try:
        while part := os.read(screen, 65536):
            parts.append(part)
    except OSError:  # what Linux answers once the program has closed its end
        pass
    os.close(screen)
    return b"".join(parts).decode()
