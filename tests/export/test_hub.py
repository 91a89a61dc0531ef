"""Pushing, to a stand-in for the hub: as far as names and the content of files go."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tutelage.errors import TutelageError
from tutelage.export.hub import check_token, push


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does to a new repository and a commit of small files; keeps what it was sent."""

    seen: list[tuple[str, Any]]
    address: str

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        kept = [json.loads(line) for line in body.splitlines()]
        self.seen.append((self.path, kept))
        if self.path.startswith("/api/repos/create"):
            answer: dict[str, Any] = {"url": f"{self.address}/{kept[0].get('organization')}/{kept[0]['name']}"}
        elif "/preupload/" in self.path:
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in kept[0]["files"]
            ]
            answer = {"files": files}
        elif "/commit/" in self.path:
            answer = {"commitUrl": f"{self.address}/someone/flowers/commit/1", "commitOid": "1", "success": True}
        else:
            answer = {}
        self._send(200, answer)

    def do_GET(self) -> None:
        self.seen.append((self.path, None))
        self._send(200, {"id": "someone/flowers", "sha": "0" * 40, "siblings": []})

    def _send(self, status: int, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, Any]]]:
    Hub.seen = []
    server = HTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    Hub.address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", Hub.address)
    monkeypatch.setenv("HF_TOKEN", "hf_not_a_token")
    yield Hub.seen
    server.shutdown()
    server.server_close()


def test_the_whole_folder_is_sent_under_the_name_asked_for(hub: list[tuple[str, Any]], exported: Path) -> None:
    push(exported, "someone/flowers", private=True)
    created = next(sent for path, sent in hub if path == "/api/repos/create")[0]
    assert (created["organization"], created["name"]) == ("someone", "flowers")
    assert created.get("private") is True or created.get("visibility") == "private"
    (lines,) = [sent for path, sent in hub if path.startswith("/api/models/someone/flowers/commit/main")]
    files = {line["value"]["path"]: line["value"]["content"] for line in lines if line["key"] == "file"}
    assert {name: base64.b64decode(content) for name, content in files.items()} == {
        path.name: path.read_bytes() for path in exported.iterdir()
    }


def test_what_the_hub_does_not_take_is_one_clear_line(
    exported: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "hf_not_a_token")
    with pytest.raises(TutelageError, match="push=someone/flowers: the upload failed"):
        push(exported, "someone/flowers", private=False)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(TutelageError, match="push=someone/flowers: there is no token"):
        check_token("someone/flowers")
