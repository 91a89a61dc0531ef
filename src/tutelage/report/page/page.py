"""Render sections as a self-contained HTML page."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from tutelage.report.page.blocks import Chart, Picture, Section
from tutelage.report.page.drawing import svg, themed
from tutelage.report.page.pictures import data_uri


def render(title: str, lead: str, foot: str, sections: Sequence[Section]) -> str:
    """Return the page; all text from data and names is escaped.

    The Content-Security-Policy of the page only allows its own scripts and styles, and no external resources.
    """
    environment = Environment(
        loader=PackageLoader("tutelage.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"address": _address}
    sources = {name: environment.get_template(name).render().strip() for name in ("page.css", "page.js")}
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(sources['page.css'])}; "
        f"script-src {_hash(sources['page.js'])}; base-uri 'none'; form-action 'none'"
    )
    return environment.get_template("page.html").render(
        title=title, lead=lead, foot=foot, sections=sections, policy=policy
    )


def _address(block: Chart | Picture) -> str:
    return themed(svg(block.figure)) if isinstance(block, Chart) else data_uri(block.image)


def _hash(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
