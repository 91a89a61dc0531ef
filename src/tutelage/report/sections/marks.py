"""Name and color of each group of runs, the same in all figures."""

from __future__ import annotations

from typing import NamedTuple

from tutelage.report.material.groups import Group
from tutelage.report.material.material import Material
from tutelage.report.page.drawing import color, series, shortened

MOST = 6
"""Number of best groups, besides those shown in detail, that get their own color."""


class Mark(NamedTuple):
    """Short name and color of a group."""

    name: str
    color: str
    own: bool
    """Whether the color is unique to this group."""


def marks_of(material: Material) -> dict[Group, Mark]:
    """Return the marks of all groups, best group first."""
    one_student = len({group.row.student for group in material.groups}) == 1
    marks, number = {}, 0
    for group in sorted(material.groups, key=lambda group: -group.row.mean):
        name = shortened(group.method, 26) if one_student else _with_student(group)
        if group is material.focus or group is material.alone:
            marks[group] = Mark(name, color("student" if group is material.focus else "alone"), True)
        else:
            own = number < MOST
            marks[group] = Mark(name, series(number) if own else color("muted"), own)
            number += 1
    return marks


def _with_student(group: Group) -> str:
    return f"{shortened(group.row.student.rpartition('/')[2], 13)} {shortened(group.method, 14)}"
