"""What a page is made of. All of it is plain text, numbers and pixels: the template escapes and lays out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from matplotlib.figure import Figure
from PIL.Image import Image


@dataclass(frozen=True)
class Chart:
    """A drawn figure."""

    kind: ClassVar[str] = "chart"
    name: str
    """Of its files."""
    figure: Figure
    alt: str
    """What it shows, for who cannot see it."""
    caption: str
    wide: bool = False
    """Whether it is scrolled on a narrow screen, not shrunk."""


@dataclass(frozen=True)
class Table:
    """Cells of text; one that is written ``**so**`` is bold. The first cell of a row is its header."""

    kind: ClassVar[str] = "table"
    caption: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: Collection[str] = ()
    """The headers of columns of words, apart from the first; numbers are set to the right."""


@dataclass(frozen=True)
class Picture:
    """Pixels, and what they show."""

    image: Image
    label: str
    alt: str


@dataclass(frozen=True)
class Card:
    """Pictures that belong together, with a line for each thing to say of them."""

    pictures: Sequence[Picture]
    lines: Sequence[str]


@dataclass(frozen=True)
class Gallery:
    """Cards side by side."""

    kind: ClassVar[str] = "gallery"
    name: str
    caption: str
    cards: Sequence[Card]


@dataclass(frozen=True)
class Words:
    """A paragraph; a quiet one is a remark."""

    kind: ClassVar[str] = "words"
    text: str
    quiet: bool = False


@dataclass(frozen=True)
class Figures:
    """The few numbers that matter: name, number, remark, and the network it is of."""

    kind: ClassVar[str] = "figures"
    items: Sequence[tuple[str, str, str, str]]


@dataclass(frozen=True)
class Code:
    """Text as it is, in equal widths."""

    kind: ClassVar[str] = "code"
    label: str
    text: str


@dataclass(frozen=True)
class Tabs:
    """Named groups of blocks, of which one is seen at a time."""

    kind: ClassVar[str] = "tabs"
    label: str
    tabs: Sequence[tuple[str, Sequence[Block]]]


@dataclass(frozen=True)
class Beside:
    """Columns of blocks, side by side where there is room."""

    kind: ClassVar[str] = "beside"
    columns: Sequence[Sequence[Block]]


@dataclass(frozen=True)
class Details:
    """Blocks that are seen when asked for."""

    kind: ClassVar[str] = "details"
    summary: str
    blocks: Sequence[Block]


Block: TypeAlias = Chart | Table | Gallery | Words | Figures | Code | Tabs | Beside | Details


@dataclass(frozen=True)
class Section:
    """A part of the page under a heading."""

    id: str
    title: str
    blocks: Sequence[Block] = field(default_factory=list)


def drawn(blocks: Sequence[Block]) -> Iterator[Chart | Gallery]:
    """Yields what can be written as an image, wherever it stands."""
    for block in blocks:
        if isinstance(block, (Chart, Gallery)):
            yield block
        elif isinstance(block, Details):
            yield from drawn(block.blocks)
        elif isinstance(block, (Tabs, Beside)):
            for inner in block.columns if isinstance(block, Beside) else (blocks for _, blocks in block.tabs):
                yield from drawn(inner)
