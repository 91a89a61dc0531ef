"""A stand-in for the Hugging Face hub: data sets in folders, served as the hub serves them, ranges included."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + 34 * "0"


@dataclass
class Hub:
    """What it serves, and what it was asked."""

    folders: dict[str, Path]
    """From USER/NAME to the files of the repository."""
    gated: set[str] = field(default_factory=set)
    address: str = ""
    sent: list[tuple[str, int]] = field(default_factory=list)
    """Every file a part of which was sent, and how many bytes."""

    def bytes_of(self, file: str) -> int:
        return sum(count for name, count in self.sent if name == file)


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    """Serves while the block runs."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    yield hub
    server.shutdown()
    server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        wanted = json.loads(body)["paths"] if body.startswith("{") else re.findall(r"paths=([^&]*)", body)
        name, _ = self._repository("/api/datasets/")
        folder = self.hub.folders[name]
        paths = [unquote(path) for path in ([wanted] if isinstance(wanted, str) else wanted)]
        self._json(200, [_entry(folder, path) for path in paths if (folder / path).is_file()])

    def _answer(self) -> None:
        path = urlsplit(self.path).path
        name, rest = self._repository("/api/datasets/" if path.startswith("/api/") else "/datasets/")
        folder = self.hub.folders.get(name)
        if folder is None:
            self._refuse(404, "RepoNotFound")
        elif path.startswith("/api/") and rest.startswith("tree/"):
            self._json(200, [_entry(folder, file) for file in _files(folder)])
        elif path.startswith("/api/"):
            siblings = [{"rfilename": file, "size": (folder / file).stat().st_size} for file in _files(folder)]
            self._json(200, {"id": name, "sha": COMMIT, "siblings": siblings})
        elif name in self.hub.gated:
            self._refuse(403, "GatedRepo")
        else:
            self._file(folder, unquote(rest.removeprefix(f"resolve/{COMMIT}/")))

    def _repository(self, prefix: str) -> tuple[str, str]:
        user, name, *rest = urlsplit(self.path).path.removeprefix(prefix).split("/")
        return f"{user}/{name}", "/".join(rest)

    def _file(self, folder: Path, file: str) -> None:
        data = (folder / file).read_bytes() if (folder / file).is_file() else None
        if data is None:
            self._refuse(404, "EntryNotFound")
            return
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        part = data[int(asked[1]) : int(asked[2]) + 1 if asked[2] else None] if asked else data
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {asked[1]}-{int(asked[1]) + len(part) - 1}/{len(data)}")
        self.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        self._end(part)
        if self.command == "GET":
            self.hub.sent.append((file, len(part)))

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self._end(b"{}")

    def _json(self, status: int, answer: Any) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self._end(json.dumps(answer).encode())

    def _end(self, body: bytes) -> None:
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _entry(folder: Path, file: str) -> dict[str, Any]:
    content = (folder / file).read_bytes()
    return {"type": "file", "path": file, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
