"""Blocks of the page. They hold plain text, numbers and pixels; the template escapes and lays them out."""

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
    """Base name of its image files."""
    figure: Figure
    alt: str
    """Alternative text for screen readers."""
    caption: str
    wide: bool = False
    """Whether to scroll it on a narrow screen instead of shrinking it."""


@dataclass(frozen=True)
class Table:
    """A table of text. Cells written ``**like this**`` are bold. The first cell of a row is its header."""

    kind: ClassVar[str] = "table"
    caption: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: Collection[str] = ()
    """Headers of text columns besides the first; other columns are aligned right as numbers."""


@dataclass(frozen=True)
class Picture:
    """An image with label and alternative text."""

    image: Image
    label: str
    alt: str


@dataclass(frozen=True)
class Card:
    """Pictures that belong together, and lines of text about them."""

    pictures: Sequence[Picture]
    lines: Sequence[str]


@dataclass(frozen=True)
class Gallery:
    """Several cards side by side."""

    kind: ClassVar[str] = "gallery"
    name: str
    caption: str
    cards: Sequence[Card]


@dataclass(frozen=True)
class Words:
    """A paragraph; a ``quiet`` one is a remark."""

    kind: ClassVar[str] = "words"
    text: str
    quiet: bool = False


@dataclass(frozen=True)
class Figures:
    """Headline numbers: name, number, remark and the role of the network."""

    kind: ClassVar[str] = "figures"
    items: Sequence[tuple[str, str, str, str]]


@dataclass(frozen=True)
class Code:
    """Preformatted monospace text."""

    kind: ClassVar[str] = "code"
    label: str
    text: str


@dataclass(frozen=True)
class Tabs:
    """Named groups of blocks, shown one at a time."""

    kind: ClassVar[str] = "tabs"
    label: str
    tabs: Sequence[tuple[str, Sequence[Block]]]


@dataclass(frozen=True)
class Beside:
    """Columns of blocks, side by side if there is room."""

    kind: ClassVar[str] = "beside"
    columns: Sequence[Sequence[Block]]


@dataclass(frozen=True)
class Details:
    """Blocks that are collapsed by default."""

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
    """Yield all blocks that can be written as image files, including nested ones."""
    for block in blocks:
        if isinstance(block, (Chart, Gallery)):
            yield block
        elif isinstance(block, Details):
            yield from drawn(block.blocks)
        elif isinstance(block, (Tabs, Beside)):
            for inner in block.columns if isinstance(block, Beside) else (blocks for _, blocks in block.tabs):
                yield from drawn(inner)
