"""python -m benchmarks.table FILE DIR: what pytest-benchmark wrote, as a table that people read."""

from __future__ import annotations

import json
import operator
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from bench.report.formats import markdown

HOLDS = {">=": operator.ge, "<=": operator.le}


def holds(figure: float, bar: str) -> str:
    if not bar:
        return ""
    sense, _, least = bar.partition(" ")
    return "yes" if HOLDS[sense](figure, float(least)) else "**no**"


def lines(found: dict[str, Any]) -> list[str]:
    machine = found["machine_info"]
    processor = machine["cpu"].get("brand_raw", machine["processor"])
    commit = found["commit_info"]["id"][:12]
    said = f"{machine['cpu'].get('count')} cores of {processor}, torch {machine['torch']}, Python"
    head = [
        "# Performance",
        "",
        "Each ratio is of two things that were timed in turn, in one run of `tox -e bench`:",
        f"{found['datetime'][:10]}, {said} {machine['python_version']}, commit {commit}.",
        "",
    ]
    figures = [one for own in found["benchmarks"] for one in own["extra_info"].get("figures", [])]
    table = {
        "what": [one["what"] for one in figures],
        "figure": [f"{one['figure']:.4g} {one['unit']}".strip() for one in figures],
        "asked for": [one["bar"] for one in figures],
        "holds": [holds(one["figure"], one["bar"]) for one in figures],
    }
    return [*head, markdown(pd.DataFrame(table), "lrrl")]


def main(source: Path, folder: Path) -> None:
    found = json.loads(source.read_text(encoding="utf-8"))
    for benchmark in found["benchmarks"]:
        benchmark["stats"].pop("data", None)  # a number for each round
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmarks.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (folder / "README.md").write_text("\n".join(lines(found)) + "\n", encoding="utf-8")
    print("\n".join(lines(found)))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
