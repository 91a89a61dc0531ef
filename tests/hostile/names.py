"""Names that folders, files and classes may have on a disk, and that mean something else to some reader."""

from __future__ import annotations

NAMES = {
    "space": "a cat",
    "spaces around": " cat ",
    "single quote": "it's",
    "double quote": '"cat"',
    "apostrophes and backslash": "c:\\cat\\'n'",
    "newline": "cat\n# dog",
    "carriage return": "cat\rdog",
    "tab": "cat\tdog",
    "unicode": "猫 кот γάτα",
    "emoji": "🐈\u200d⬛",
    "right to left": "\u202etac",
    "combining marks": "Z͑ͫ̓ͪ",
    "script": "<script>alert(1)<&#47;script>",
    "image that fails": '"><img src=x onerror=alert(2)>',
    "entity": "&lt;b&gt;",
    "markdown": "[cat](javascript:alert(1)) | `x` | **y** # z",
    "mathematics": "$x^2$ and \\frac{1}{2}",
    "template": "{{ 7*7 }}{% raw %}",
    "format string": "%s{0}{name}%n",
    "shell": "$(touch hacked); `touch hacked`",
    "rich markup": "[bold red]cat[link=x]",
    "yaml": "{cat: [1, 2]} # *a &b !!python",
    "leading dash": "--help",
    "leading equals": "=1+1",
    "equals": "model=evil",
    "leading at": "@cat",
    "dots": "...",
    "dot in the middle": "cat..dog",
    "number": "007",
    "null": "null",
    "true": "yes",
    "percent": "100%25",
    "glob": "*[!a]?",
    "tilde": "~root",
    "control": "cat\x1b[31m\x07",
    "as long as can be": "c" * 255,
}
"""Of classes; a slash or a null byte cannot be in one, and what begins with a dot is hidden."""
SHOWN = {key: name for key, name in NAMES.items() if not name.startswith(".")}
"""Those that are the name of a class folder; hidden folders are none."""
