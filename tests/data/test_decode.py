from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tutelage.data.decode import read_image
from tutelage.data.folder import FileImages
from tutelage.errors import TutelageError

WIDTH, HEIGHT = 40, 24


def gradient() -> Image.Image:
    x = np.linspace(0, 255, WIDTH)[None, :].repeat(HEIGHT, 0)
    y = np.linspace(255, 0, HEIGHT)[:, None].repeat(WIDTH, 1)
    return Image.fromarray(np.stack([x, y, (x + y) / 2], axis=2).astype(np.uint8))


def read(path: Path) -> torch.Tensor:
    return read_image(FileImages([path], [0]), 0)


MODES = {
    ".png": ["RGB", "L", "1", "P", "LA", "RGBA"],
    ".jpg": ["RGB", "L", "CMYK"],
    ".bmp": ["RGB", "L", "1", "P", "RGBA"],
    ".gif": ["RGB", "L", "1", "P", "RGBA"],
    ".tif": ["RGB", "L", "1", "P", "LA", "RGBA", "CMYK"],
    ".webp": ["RGB", "L", "RGBA"],
    ".ppm": ["RGB", "L", "1"],
}


@pytest.mark.parametrize("torchvision_decodes", [True, False])
@pytest.mark.parametrize("suffix, mode", [(suffix, mode) for suffix, modes in MODES.items() for mode in modes])
def test_any_mode_in_any_format_becomes_rgb(
    tmp_path: Path, suffix: str, mode: str, torchvision_decodes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not torchvision_decodes:  # as in a later release
        monkeypatch.setitem(sys.modules, "torchvision.io", None)
    path = tmp_path / f"image{suffix}"
    gradient().convert(mode).save(path)
    got = read(path)
    assert got.shape == (3, HEIGHT, WIDTH) and got.dtype == torch.uint8
    with Image.open(path) as image:
        expected = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
    assert (got.int() - expected.int()).abs().float().mean() < 2


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_keep_their_upper_eight(tmp_path: Path, suffix: str) -> None:
    grey = gradient().convert("L")
    Image.fromarray(np.asarray(grey).astype(np.uint16) * 257).save(tmp_path / f"deep{suffix}")
    expected = torch.from_numpy(np.array(grey)).int()
    assert (read(tmp_path / f"deep{suffix}").int() - expected).abs().max() <= 1


def test_orientation_is_that_of_the_camera(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    gradient().save(tmp_path / "turned.jpg", exif=exif)
    assert read(tmp_path / "turned.jpg").shape == (3, WIDTH, HEIGHT)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp"])
def test_a_truncated_image_is_an_error_with_its_name(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cut{suffix}"
    gradient().save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(TutelageError, match=rf"cut{suffix} is not a readable image .*data.skip_broken=true"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\xff\xd8\xff\xe0"])
def test_something_else_is_an_error_with_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd.jpg").write_bytes(content)
    with pytest.raises(TutelageError, match=r"odd.jpg is not a readable image"):
        read(tmp_path / "odd.jpg")
