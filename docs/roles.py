"""Docstring conventions of the sources, translated for the site.

``:class:`Teacher``` is shown as code, and an ``Example:`` as a code example: griffe only knows ``Examples:``, and would
show the prompts of a doctest as quotations.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|func|meth|mod|data|attr):`~?([^`]+)`")
EXAMPLE = re.compile(r"^( *)Example:$", re.MULTILINE)


class Roles(griffe.Extension):
    """Translate roles and examples in every docstring."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Translate the docstring of an object found in the sources."""
        if obj.docstring is not None:
            obj.docstring.value = EXAMPLE.sub(r"\1Examples:", ROLE.sub(r"`\1`", obj.docstring.value))
