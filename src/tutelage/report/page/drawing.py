"""Style of the figures: one palette for light and dark mode, SVG for the page, SVG and PNG for papers."""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from tutelage.models import shown_count

PALETTE = {
    "ink": ("#1d2733", "#e6e9ed"),
    "muted": ("#566170", "#a5b0bd"),
    "line": ("#d5dae1", "#36404c"),
    "surface": ("#ffffff", "#1a2027"),
    "student": ("#b5480a", "#f5975f"),
    "teacher": ("#2f5fb4", "#86b1ff"),
    "alone": ("#68737f", "#9ba6b2"),
    "teal": ("#0b766c", "#4cc9b8"),
    "purple": ("#8a3ea8", "#d29fe8"),
    "gold": ("#876400", "#dfbd4e"),
    "pink": ("#b22a60", "#f58cb1"),
    "green": ("#3d7a1e", "#93cf6b"),
    "brown": ("#7a4a2b", "#d6ab8c"),
}
"""Colors by role for light and dark mode; each is legible as text on the surface color."""

SERIES = ("teal", "purple", "gold", "pink", "green", "brown")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)))

RC: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.5,
    "axes.labelsize": 10,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.edgecolor": PALETTE["line"][0],
    "grid.color": PALETTE["line"][0],
    "text.color": PALETTE["ink"][0],
    "axes.titlecolor": PALETTE["ink"][0],
    "axes.labelcolor": PALETTE["ink"][0],
    "xtick.labelcolor": PALETTE["muted"][0],
    "ytick.labelcolor": PALETTE["muted"][0],
    "axes.axisbelow": True,
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.8,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    # Names come from data, so a dollar sign must not start a formula.
    "text.parse_math": False,
    # Keep text as text: browsers have fonts for more scripts than matplotlib, and files are smaller.
    "svg.fonttype": "none",
    "svg.hashsalt": "tutelage",
    "figure.constrained_layout.use": True,
}

WIDTH = 4.7
"""Width in inches, narrow enough that text is legible on a phone."""


def color(role: str) -> str:
    """Return the color of a role in light mode."""
    return PALETTE[role][0]


def series(number: int) -> str:
    """Return the color of series ``number``, for groups without a role."""
    return color(SERIES[number % len(SERIES)])


def dashes(number: int) -> Any:
    """Return the line style of series ``number``; series with the same color get different styles."""
    return DASHES[number // len(SERIES) % len(DASHES)]


def new_axes(height: float = 3.0, width: float = WIDTH, **options: Any) -> tuple[Figure, Axes]:
    """Return a figure and its axes; sizes are in inches, ``options`` are passed to ``Figure.subplots``."""
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots(**options)


def legend(axes: Axes, **options: Any) -> None:
    """Add a legend above the axes if there are several entries."""
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) < 2:
        return
    figure = axes.get_figure(root=True)
    assert figure is not None
    columns = options.pop("ncols", 3 if max(map(len, labels)) < 16 else 2)
    figure.set_figheight(figure.get_figheight() + 0.2 * -(-len(labels) // columns))
    figure.legend(handles, labels, loc="outside upper left", ncols=columns, **options)


def accuracy_limits(values: Sequence[float]) -> tuple[float, float]:
    """Return limits for an axis of percentages that fit the values and end just above 100 %."""
    low, high = min(values), max(values)
    margin = max(0.12 * (high - low), 0.5)
    return low - margin, min(high + margin, 100.4)


def plain_log_ticks(axis: Axis) -> None:
    """Label a logarithmic axis with plain numbers: 1, 2, 5, 10, or only powers of ten over a wide range."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 200 * low else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: shown_count(value)))
    axis.set_minor_formatter(NullFormatter())


def shortened(name: str, length: int = 18) -> str:
    """Return a name cut to ``length`` characters."""
    return name if len(name) <= length else name[: length - 1] + "…"


def shortened_all(names: Sequence[str], length: int = 18) -> list[str]:
    return [shortened(name, length) for name in names]


def svg(figure: Figure) -> str:
    """Return the figure as SVG with a transparent background, in light mode."""
    out = io.StringIO()
    with _any_script():
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return out.getvalue()


def png(figure: Figure) -> bytes:
    """Return the figure as PNG on white, at 200 dpi."""
    out = io.BytesIO()
    with _any_script():
        figure.savefig(out, format="png", dpi=200, facecolor="white", metadata={"Software": None})
    return out.getvalue()


@contextmanager
def _any_script() -> Iterator[None]:
    """Suppress warnings about characters that matplotlib's font lacks; browsers have fonts for them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        yield


_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans'"


def themed(text: str) -> str:
    """Return an SVG as a ``data:`` URI whose colors follow the reader's light or dark mode."""
    text = text[text.index("<svg") :]
    for role, (light, _) in PALETTE.items():
        text = re.sub(light, f"var(--{role})", text, flags=re.IGNORECASE)
    text = text.replace("'DejaVu Sans'", _FONTS)
    light, dark = (";".join(f"--{role}:{pair[number]}" for role, pair in PALETTE.items()) for number in range(2))
    rules = f":root{{{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"
    text = text.replace('<style type="text/css">', f'<style type="text/css">{rules}', 1)
    return "data:image/svg+xml;base64," + base64.b64encode(text.encode()).decode()
