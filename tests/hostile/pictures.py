"""Encoded images that are broken, lie, or are unusual: made here, so that no binary file lies in the repository."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]

WIDTH, HEIGHT = 20, 12
ORIENTATION = 0x0112


def picture() -> Image.Image:
    """A smooth picture without symmetry."""
    x, y = np.meshgrid(np.linspace(20, 235, WIDTH), np.linspace(230, 15, HEIGHT))
    return Image.fromarray(np.stack([x, y, (x + y) / 2], axis=2).astype(np.uint8))


def encode(image: Image.Image, format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def png(width: int, height: int, rows: bytes, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG whose header says what it is told to; ``rows`` are compressed pixel rows. Colour 0: grey, 2: RGB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _patched(data: bytes, place: int, new: bytes) -> bytes:
    return data[:place] + new + data[place + len(new) :]


def _inflating(width: int, height: int) -> bytes:
    """A real PNG, every row of it there: white, a bit a pixel, so that a few kilobytes hold it."""
    packer = zlib.compressobj(1)
    band = (b"\0" + b"\xff" * (width // 8)) * (height // 20)
    return png(width, height, b"".join(packer.compress(band) for _ in range(20)) + packer.flush(), 1, 0)


def _claiming_jpeg(side: int) -> bytes:
    data = encode(picture(), "JPEG")
    return _patched(data, data.index(b"\xff\xc0") + 5, struct.pack(">HH", side, side))


def _frames(format: str, **options: Any) -> bytes:
    first, *others = (Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ("red", "lime", "blue"))
    return encode(first, format, save_all=True, append_images=others, **options)


BOMBS: dict[str, Callable[[], bytes]] = {
    "png header of 100000x100000": lambda: png(100_000, 100_000, zlib.compress(bytes(1000))),
    "png header of 2147483647x2147483647": lambda: png(2**31 - 1, 2**31 - 1, zlib.compress(bytes(10))),
    "png of 24000x24000 that is all there": lambda: _inflating(24_000, 24_000),
    "jpeg header of 65500x65500": lambda: _claiming_jpeg(65_500),
    "gif header of 65535x65535": lambda: (
        b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\x80\0\0\0\0\0\xff\xff\xff,"
        + struct.pack("<HHHH", 0, 0, 65535, 65535) + b"\0\x02\x02\x4c\x01\0;"
    ),
    "bmp header of 100000x100000": lambda: _patched(encode(picture(), "BMP"), 18, struct.pack("<ii", 10**5, 10**5)),
    "ppm header of 100000x100000": lambda: b"P6 100000 100000 255\n" + bytes(100),
    "tiff header of 100000x100000": lambda: _tiff_of(100_000),
}  # fmt: skip
"""Small files that claim, or hold, more pixels than fit into memory."""


def _tiff_of(side: int) -> bytes:
    entries = [(256, side), (257, side), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, side), (279, 10)]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries) + bytes(4)
    return b"II*\0" + struct.pack("<I", 8) + directory


TRUNCATED = {
    f"{format} cut at {share:.0%}": (format, share)
    for format in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM")
    for share in (0.02, 0.1, 0.3, 0.5, 0.7, 0.85)
}
"""Formats, and the part of the file that is left."""


def truncated(format: str, share: float) -> bytes:
    data = encode(picture(), format)
    return data[: max(1, int(len(data) * share))]


NO_IMAGES: dict[str, Callable[[], bytes]] = {
    "zero bytes": lambda: b"",
    "a byte": lambda: b"\xff",
    "random bytes": lambda: np.random.default_rng(0).bytes(2000),
    "a thousand zeros": lambda: bytes(1000),
    "html": lambda: b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "text": lambda: b"keine Bilddatei\n",
    "json": lambda: b'{"error": "quota exceeded"}',
    "svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>',
    "pdf": lambda: b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF",
    "eps, which Pillow has Ghostscript run": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
    "zip": lambda: b"PK\x03\x04" + bytes(60),
    "gzip": lambda: zlib.compress(b"x" * 100),
    "git lfs pointer": lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n",
    "elf": lambda: b"\x7fELF" + bytes(100),
    "jpeg's first bytes alone": lambda: b"\xff\xd8\xff\xe0",
    "png's first bytes alone": lambda: b"\x89PNG\r\n\x1a\n",
    "png without pixels": lambda: png(WIDTH, HEIGHT, b""),
    "png of no width": lambda: png(0, HEIGHT, zlib.compress(b"")),
    "png whose pixels are no zlib stream": lambda: png(WIDTH, HEIGHT, b"not compressed"),
    "png with a wrong checksum": lambda: _patched(encode(picture(), "PNG"), 29, b"\0\0\0\0"),
    "jpeg without tables": lambda: encode(picture(), "JPEG").replace(b"\xff\xdb", b"\xff\xfe"),
    "gif without frames": lambda: b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff;",
    "bmp of negative width": lambda: _patched(encode(picture(), "BMP"), 18, struct.pack("<i", -WIDTH)),
    "webp with a wrong length": lambda: _patched(encode(picture(), "WEBP"), 16, b"\xff\xff\xff\x7f"),
    "tiff whose directory is past its end": lambda: b"II*\0\xff\xff\xff\x7f",
    "tiff whose directory is itself": lambda: b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
}
"""What has an image's name and is none."""


class Unusual(NamedTuple):
    """A file that is read, and the pixels (H, W, 3) that come of it, to within ``off`` levels."""

    data: bytes
    pixels: Pixels
    off: int = 0


def _rgb(image: Image.Image) -> Pixels:
    return np.asarray(image.convert("RGB"))


def _flat(*colour: int, height: int = HEIGHT, width: int = WIDTH) -> Pixels:
    return np.tile(np.array(colour, np.uint8), (height, width, 1))


def _first_row() -> Pixels:
    """A white row, and black where there is none."""
    return np.concatenate([_flat(255, 255, 255, height=1), _flat(0, 0, 0, height=HEIGHT - 1)])


def _adobe(transform: int) -> bytes:
    """A JPEG of four flat channels; ``transform`` 2 has them read as YCCK."""
    channels = np.tile(np.array([200, 128, 128, 0], np.uint8), (HEIGHT, WIDTH, 1))
    data = encode(Image.fromarray(channels, "CMYK"), "JPEG", quality=100)
    return _patched(data, data.index(b"Adobe") + 11, bytes([transform]))


def _deep(colour: int) -> Unusual:
    """A PNG of 16 bits, of which 8 are kept; 0 grey, 2 RGB, 4 and 6 the same with transparency."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    values = np.random.default_rng(colour).integers(0, 2**16, (HEIGHT, WIDTH, channels))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    kept = (values >> 8)[..., : 3 if channels > 2 else 1]
    if channels % 2 == 0:  # on white
        opacity = (values >> 8)[..., -1:] / 255
        kept = kept * opacity + 255 * (1 - opacity)
    kept = kept.round().astype(np.uint8)
    return Unusual(png(WIDTH, HEIGHT, zlib.compress(rows), 16, colour), np.broadcast_to(kept, (HEIGHT, WIDTH, 3)), 1)


def _exif(content: bytes) -> bytes:
    """A JPEG whose EXIF block holds ``content``."""
    data = encode(picture(), "JPEG", quality=95)
    block = b"Exif\0\0" + content
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:]


_TURNS = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}


def _turned(format: str, orientation: int, **options: Any) -> Unusual:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    as_stored = _rgb(Image.open(io.BytesIO(encode(picture(), format, **options))))
    data = encode(picture(), format, exif=exif, **options)
    return Unusual(data, _TURNS.get(orientation, lambda a: a)(as_stored))


def unusual() -> dict[str, Unusual]:
    """Every image that is converted, by what it is."""
    image, jpeg = picture(), _rgb(Image.open(io.BytesIO(encode(picture(), "JPEG", quality=95))))
    paletted = image.convert("P")
    return {
        "cmyk jpeg": Unusual(_adobe(0), _flat(55, 127, 127), 1),
        "ycck jpeg": Unusual(_adobe(2), _flat(200, 200, 200), 2),
        "cmyk tiff": Unusual(encode(image.convert("CMYK"), "TIFF"), _rgb(image)),
        "grey jpeg": Unusual(encode(image.convert("L"), "JPEG", quality=100), _rgb(image.convert("L")), 2),
        "1-bit png": Unusual(encode(image.convert("1"), "PNG"), _rgb(image.convert("1"))),
        "1-bit tiff": Unusual(encode(image.convert("1"), "TIFF"), _rgb(image.convert("1"))),
        "grey and transparent png": Unusual(encode(image.convert("LA"), "PNG"), _rgb(image.convert("L"))),
        "rgba png, wholly transparent": Unusual(encode(_transparent(image), "PNG"), _flat(255, 255, 255)),
        "palette png": Unusual(encode(paletted, "PNG"), _rgb(paletted)),
        "palette png with a transparent entry": Unusual(
            encode(paletted, "PNG", transparency=3), np.where(np.asarray(paletted)[..., None] == 3, 255, _rgb(paletted))
        ),
        "palette png with transparencies": Unusual(
            encode(paletted, "PNG", transparency=bytes(256)), _flat(255, 255, 255)
        ),
        "interlaced png": Unusual(encode(image, "PNG", interlace=1), _rgb(image)),
        "png of too few rows": Unusual(png(WIDTH, HEIGHT, zlib.compress(b"\0" + b"\xff" * 3 * WIDTH)), _first_row()),
        "progressive jpeg": Unusual(encode(image, "JPEG", quality=95, progressive=True), jpeg, 2),
        "lossless webp": Unusual(encode(image, "WEBP", lossless=True), _rgb(image)),
        "bmp stored upside down": Unusual(encode(image, "BMP"), _rgb(image)),
        # Pillow before 13 cannot read the uncompressed YCbCr TIFF that it writes. libtiff converts the compressed one
        # to RGB and rounds differently from Pillow.
        "ycbcr tiff": Unusual(
            encode(image.convert("YCbCr"), "TIFF", compression="tiff_lzw"), _rgb(image.convert("YCbCr")), 1
        ),
        "animated gif": Unusual(_frames("GIF"), _flat(255, 0, 0)),
        "animated png": Unusual(_frames("PNG"), _flat(255, 0, 0)),
        "animated webp": Unusual(_frames("WEBP", lossless=True), _flat(255, 0, 0)),
        "tiff of several pages": Unusual(_frames("TIFF"), _flat(255, 0, 0)),
        "jpeg of several pictures": Unusual(_frames("MPO"), _flat(254, 0, 0), 1),
        "1x1": Unusual(encode(Image.new("RGB", (1, 1), (7, 8, 9)), "PNG"), _flat(7, 8, 9, height=1, width=1)),
        "1x500": Unusual(encode(Image.new("L", (500, 1), 9), "PNG"), _flat(9, 9, 9, height=1, width=500)),
        "500x1": Unusual(encode(Image.new("L", (1, 500), 9), "PNG"), _flat(9, 9, 9, height=500, width=1)),
        "jpeg with bytes after its end": Unusual(encode(image, "JPEG", quality=95) + b"<script>", jpeg),
        "png with bytes after its end": Unusual(encode(image, "PNG") + bytes(100), _rgb(image)),
        "exif of nothing": Unusual(_exif(b""), jpeg),
        "exif of 255s": Unusual(_exif(b"\xff" * 24), jpeg),
        "exif of 65535 entries": Unusual(_exif(b"II*\0\x08\0\0\0\xff\xff" + bytes(14)), jpeg),
        "exif whose directory is itself": Unusual(_exif(b"II*\0\x08\0\0\0\0\0\x08\0\0\0"), jpeg),
        "exif with a word for orientation": Unusual(
            _exif(b"II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x04\0\0\0abc\0" + bytes(4)), jpeg
        ),
        **{f"16-bit png, colour type {colour}": _deep(colour) for colour in (0, 2, 4, 6)},
        **{f"jpeg turned, {orientation}": _turned("JPEG", orientation, quality=95) for orientation in range(10)},
        **{f"webp turned, {orientation}": _turned("WEBP", orientation, lossless=True) for orientation in (3, 6)},
        **{f"png turned, {orientation}": _turned("PNG", orientation) for orientation in (3, 6)},
    }  # fmt: skip


def _transparent(image: Image.Image) -> Image.Image:
    image = image.copy()
    image.putalpha(0)
    return image


UNUSUAL = tuple(unusual())
