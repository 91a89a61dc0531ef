"""Print the table of finished runs, with mean ± standard deviation over seeds, and write it as Markdown and JSON.

python benchmarks/results_table.py runs/teacher runs/*-0 runs/*-1 runs/*-2 --out docs/results/NAME
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console

from tutelage.study import markdown, summarize, terminal
from tutelage.training import Result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, help="path without ending; .md and .json are written")
    arguments = parser.parse_args()
    results = [Result.read(run) for run in arguments.runs]
    rows = summarize(results)
    console = Console()
    console.print(terminal(rows, console.width))
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.with_suffix(".md").write_text(markdown(rows), encoding="utf-8")
        content = [result.model_dump(exclude={"folder", "packages"}) for result in results]
        arguments.out.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
