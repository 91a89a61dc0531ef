"""Images from anywhere: read with the right pixels, or refused by name; quickly, and with either decoder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from hostile.pictures import BOMBS, HEIGHT, NO_IMAGES, TRUNCATED, UNUSUAL, WIDTH, Unusual, encode, picture, truncated
from hostile.pictures import unusual as make_unusual
from tutelage import TutelageError
from tutelage.data import DataSettings, EvalLoader, open_data
from tutelage.data.sources.image_files import FileImages
from tutelage.data.stored.decode import decode, read_image

unusual = cache(make_unusual)
pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning:PIL", "ignore::PIL.Image.DecompressionBombWarning", "ignore:skipped"
)


@cache
def bomb(name: str) -> bytes:
    return BOMBS[name]()


@pytest.fixture(params=["torchvision", "pillow"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both decoders, for torchvision's is to be removed from a later release of it."""
    if request.param == "pillow":
        monkeypatch.setitem(sys.modules, "torchvision.io", None)


def refusal(path: Path) -> str:
    """The message for an image that is to be refused: it names the file and the way out."""
    with pytest.raises(TutelageError) as error:
        read_image(FileImages([path], [0]), 0)
    message = str(error.value)
    assert message.startswith(f"{path} is not a readable image (") and "data.skip_broken=true" in message
    assert "\n" not in message
    return message


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_images_give_the_right_pixels(name: str, tmp_path: Path) -> None:
    made: Unusual = unusual()[name]
    (tmp_path / "odd.jpg").write_bytes(made.data)  # whatever its suffix says
    got = read_image(FileImages([tmp_path / "odd.jpg"], [0]), 0).permute(1, 2, 0).numpy()
    assert got.dtype == np.uint8 and got.shape == made.pixels.shape
    assert np.abs(got.astype(int) - made.pixels).max() <= made.off


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_by_their_header(name: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb(name))
    assert path.stat().st_size < 500_000
    # Pillow's words: said of the size alone, before a pixel is decoded.
    assert "exceeds limit of 178956970 pixels" in refusal(path)


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("name", NO_IMAGES)
def test_what_is_no_image_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(NO_IMAGES[name]())
    refusal(path)


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("name", TRUNCATED)
def test_a_truncated_image_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    path.write_bytes(truncated(*TRUNCATED[name]))
    refusal(path)


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP"])
def test_an_image_without_its_last_byte_is_refused_or_whole(format: str, tmp_path: Path) -> None:
    data = encode(picture(), format)
    (tmp_path / "whole.png").write_bytes(data)
    (tmp_path / "cut.png").write_bytes(data[:-1])
    images = FileImages([tmp_path / "whole.png", tmp_path / "cut.png"], [0, 0])
    try:
        assert (read_image(images, 1) == read_image(images, 0)).all()
    except TutelageError as error:
        assert "cut.png" in str(error)


@pytest.mark.usefixtures("decoder")
def test_bytes_changed_at_random_never_give_another_exception() -> None:
    draw = np.random.default_rng(0)
    kinds: dict[str, Callable[[], bytes]] = {
        format: lambda format=format: encode(picture(), format) for format in ("JPEG", "PNG", "GIF", "WEBP", "TIFF")
    }
    read = 0
    for make in kinds.values():
        data = make()
        for _ in range(60):
            changed = bytearray(data)
            for place in draw.integers(0, len(data), 4):
                changed[place] = draw.integers(0, 256)
            try:
                image = decode(bytes(changed))
            except ValueError:
                continue
            assert image.shape[0] == 3
            read += 1
    assert 0 < read < 300


def test_a_folder_with_all_of_them_is_read_and_every_broken_one_counted(tmp_path: Path) -> None:
    broken = [bomb(name) for name in BOMBS] + [make() for make in NO_IMAGES.values()]
    (tmp_path / "data" / "good").mkdir(parents=True)
    (tmp_path / "data" / "bad").mkdir()
    for number in range(4):
        picture().save(tmp_path / "data" / "good" / f"{number}.png")
        picture().save(tmp_path / "data" / "bad" / f"whole {number}.png")
    for number, content in enumerate(broken):
        (tmp_path / "data" / "bad" / f"{number:03}.jpg").write_bytes(content)
    settings = DataSettings(name=str(tmp_path / "data"), skip_broken=True, validation=0.25)
    with pytest.warns(UserWarning, match=f"skipped {len(broken)} unreadable images"):
        data = open_data(settings)
    assert len(data.broken) == len(broken) and data.size == (HEIGHT, WIDTH)
    assert data.validation is not None and len(data.train) + len(data.validation) == 8
    assert sum(len(batch.labels) for batch in EvalLoader(data.train, 4)) == len(data.train)
    with pytest.raises(TutelageError, match=r"bad/.*\.jpg is not a readable image"):
        open_data(settings.model_copy(update={"skip_broken": False}))
