"""Pretrained weights where the hub cannot be reached: one attempt, then the cache or one error."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_model

from tutelage import TutelageError, create_model

NAME, REPOSITORY = "test_resnet.r160_in1k", "models--timm--test_resnet.r160_in1k"


@dataclass
class Hub:
    """Closes every connection at once, and counts them."""

    connections: int = 0

    def close_all(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    hub, listener = Hub(), socket.create_server(("127.0.0.1", 0))
    Thread(target=hub.close_all, args=(listener,), daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{listener.getsockname()[1]}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    yield hub
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.mark.parametrize("name", [f"timm/{NAME}", "hf-hub:someone/something"])
def test_the_hub_is_tried_once(name: str, hub: Hub) -> None:
    with pytest.raises(TutelageError, match=rf"could not be downloaded \({constants.ENDPOINT}: "):
        create_model(name, weights="pretrained" if name.startswith("timm/") else None)
    assert hub.connections == 1
    assert not constants.HF_HUB_OFFLINE


def test_cached_weights_load_without_the_hub(hub: Hub, tmp_path: Path) -> None:
    snapshot = tmp_path / REPOSITORY / "snapshots" / "c0ffee"
    snapshot.mkdir(parents=True)
    (tmp_path / REPOSITORY / "refs").mkdir()
    (tmp_path / REPOSITORY / "refs" / "main").write_text("c0ffee")
    cached = timm.create_model(NAME)
    save_model(cached, str(snapshot / "model.safetensors"))
    loaded = create_model(f"timm/{NAME}", weights="pretrained")
    assert hub.connections == 1
    assert all(torch.equal(tensor, loaded.state_dict()[key]) for key, tensor in cached.state_dict().items())
