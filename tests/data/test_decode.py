from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tutelage.data import DataSettings, EvalLoader, open_data
from tutelage.data.source import Rendering
from tutelage.data.sources.image_files import FileImages
from tutelage.data.stored.decode import is_constant, read_image
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


DEEP = {"10 bits": 1023, "12 bits": 4095, "14 bits": 16383}


def deep(path: Path, white: float, kind: str = "uint16") -> torch.Tensor:
    """Saves a gradient from 0 to ``white``, and returns what it is in 8 bits."""
    grey = np.asarray(gradient().convert("L")).astype(np.float64)
    Image.fromarray((grey * (white / 255)).astype(kind)).save(path)
    return torch.from_numpy(grey)


@pytest.mark.parametrize("white", DEEP.values(), ids=DEEP)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_deep_images_keep_their_contrast_or_are_refused(tmp_path: Path, suffix: str, white: int) -> None:
    path = tmp_path / f"deep{suffix}"
    expected = deep(path, white)
    with pytest.raises(TutelageError, match=f"16-bit values only go up to .*; set data.white={white} if it has"):
        read(path)
    images = FileImages([path], [0])
    images.rendering = Rendering(white=white)
    assert (read_image(images, 0)[0] - expected).abs().max() <= 1


@pytest.mark.parametrize("white, kind", [(1.0, "float32"), (300.0, "float32"), (70000, "int32")])
def test_floats_and_32_bit_integers(tmp_path: Path, white: float, kind: str) -> None:
    path = tmp_path / "deep.tif"
    expected = deep(path, white, kind)
    images = FileImages([path], [0])
    if white == 1:
        assert (read_image(images, 0)[0] - expected).abs().max() <= 1
        return
    with pytest.raises(TutelageError, match="set data.white"):
        read_image(images, 0)
    images.rendering = Rendering(white=white)
    assert (read_image(images, 0)[0] - expected).abs().max() <= 1


@pytest.mark.parametrize("value, message", [(np.nan, "NaN or infinite"), (-1.0, "negative values, down to -1")])
def test_floats_that_are_no_picture(tmp_path: Path, value: float, message: str) -> None:
    Image.fromarray(np.array([[0.5, value]], dtype=np.float32)).save(tmp_path / "odd.tif")
    with pytest.raises(TutelageError, match=message):
        read(tmp_path / "odd.tif")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparency_shows_the_background_and_not_hidden_colors(tmp_path: Path, mode: str) -> None:
    image = gradient().convert("RGBA")
    image.putalpha(Image.fromarray(np.repeat(np.array([[0, 255]], dtype=np.uint8), HEIGHT, 0).repeat(WIDTH // 2, 1)))
    path = tmp_path / "image.png"
    image.convert("LA" if mode == "LA" else "RGBA").save(path)
    if mode == "PA":
        image.quantize(200).save(path)
    images = FileImages([path], [0])
    assert (read_image(images, 0)[:, :, : WIDTH // 2] == 255).all()
    images.rendering = Rendering(background="#102030")
    found = read_image(images, 0)
    assert [int(value) for value in found[:, 0, 0]] == [0x10, 0x20, 0x30]
    assert (found[0, :, WIDTH // 2 :].float().std()) > 10


def test_images_of_one_color_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUTELAGE_CACHE", str(tmp_path / "cache"))
    for size, names in ((12, ("ant", "bee")), (80, ("ant", "bee"))):
        for name in names:
            (tmp_path / str(size) / name).mkdir(parents=True)
            for i in range(4):
                gradient().resize((size, size)).save(tmp_path / str(size) / name / f"{i}.png")
    for size in (12, 80):
        Image.new("RGB", (size, size), "navy").save(tmp_path / str(size) / "ant" / "2.png")
    with pytest.warns(UserWarning, match=r"1 images have only one color; the first: .*12/ant/2.png"):
        open_data(DataSettings(name=str(tmp_path / "12")))
    data = open_data(DataSettings(name=str(tmp_path / "80"), workers=0, size=32, validation=0.25))
    with pytest.warns(UserWarning, match=r"only one color \(1 so far\): .*80/ant/2.png"):
        list(EvalLoader(data.train, 8)), data.validation and list(EvalLoader(data.validation, 8))


@pytest.mark.parametrize("kind, white", [("uint16", 65535), ("float32", 1.0)])
def test_a_tiff_in_which_zero_is_white(tmp_path: Path, kind: str, white: float) -> None:
    grey = np.asarray(gradient().convert("L"))
    values = (white - grey * (white / 255)).astype(kind)
    Image.fromarray(values).save(tmp_path / "inverted.tif", tiffinfo={262: 0})
    assert values.tobytes() in (tmp_path / "inverted.tif").read_bytes()
    expected = torch.from_numpy(grey.copy()).int()
    assert (read(tmp_path / "inverted.tif")[0].int() - expected).abs().max() <= 1


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_deep_colors_of_little_contrast_are_refused_with_their_numbers(tmp_path: Path) -> None:
    pixels = (np.asarray(gradient()).astype(np.uint16) * 16).astype(">u2")  # 12 bits in 16
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 2, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels))
    (tmp_path / "deep.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
    with pytest.raises(TutelageError, match="16-bit channels reach only 3,840 of 65,535"):
        read(tmp_path / "deep.png")


def test_one_other_pixel_is_another_color() -> None:
    image = torch.full((3, 20, 30), 7, dtype=torch.uint8)
    assert is_constant(image)
    for channel, row, column in ((0, 0, 0), (1, 13, 21), (2, 19, 29)):
        other = image.clone()
        other[channel, row, column] = 8
        assert not is_constant(other)
