"""Real runs on real images, whose classes and folders have the worst of names, and a browser for their report."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tutelage import distill, train
from tutelage.data import load_digits
from tutelage.report import write_report

CLASSES = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "$x^$ & {{ 7*7 }}",
    "漢字, and a very long name",
)
FAST: dict[str, Any] = {
    "precision": "fp32",
    "compile": "off",
    "device": "cpu",
    "batch_size": 32,
    "epochs": 2,
    "loggers": [],
}
NAMES = ("teacher", "none-0", "none-1", 'it\'s "kd" <b>&lt;')


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``digits``, in four classes, and ``runs`` that were started there."""
    home = tmp_path_factory.mktemp("report")
    images, labels = load_digits()
    images, labels = images[labels < 4], labels[labels < 4]
    features = {"image": {"_type": "Image"}, "label": {"names": CLASSES, "_type": "ClassLabel"}}
    (home / "digits").mkdir()
    for split, part in (("train", slice(0, 240)), ("test", slice(240, 320))):
        cells = [{"bytes": _png(image), "path": "0.png"} for image in images[part]]
        table = pa.table({"image": cells, "label": pa.array(labels[part], pa.int64())})
        described = {"huggingface": json.dumps({"info": {"features": features}})}
        pq.write_table(table.replace_schema_metadata(described), home / "digits" / f"{split}-0.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("TUTELAGE_CACHE", str(home / "cache"))
        train(data="digits/../digits", model="resnet8", out="runs/teacher", **FAST)
        shared: dict[str, Any] = {"data": "digits/../digits", "teacher": "runs/teacher", "student": "resnet8", **FAST}
        for seed, name in enumerate(NAMES[1:3]):
            distill(**shared, method="none", seed=seed, out=f"runs/{name}")
        distill(**shared, method="kd+at", log_gradients=True, out=f"runs/{NAMES[3]}", **{"kd.temperature": 2})
    return home


def _png(pixels: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray((pixels * 15.9).astype("uint8")).resize((16, 16)).convert("RGB").save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="session")
def runs(home: Path) -> dict[str, Path]:
    """The run folders by short names."""
    return dict(zip(("teacher", "none-0", "none-1", "kd"), (home / "runs" / name for name in NAMES)))


@pytest.fixture(scope="session")
def report(home: Path, runs: dict[str, Path]) -> Path:
    """The page of three runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUTELAGE_CACHE", str(home / "cache"))
        chosen = (runs["none-0"], runs["none-1"], runs["kd"])
        return write_report(*chosen, out=home / "page's.html")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    api = pytest.importorskip("playwright.sync_api")
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for path in map(shutil.which, names) if path is not None), None)
    if found is None:
        pytest.skip(f"no browser to open the report in: none of {', '.join(names)} is installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()
