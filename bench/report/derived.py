"""Rows -> files that can be deleted at any time, and the same tables on the terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console

from bench.core.files import write_atomically
from bench.report import formats
from bench.report.tables import tables
from bench.results.aggregate import Cell
from bench.results.rows import Row
from bench.results.select import identity, last_line

STAMP = "Tables"  # the name under which a heat map carries stamp_of()
DERIVED = re.compile(r"(accuracy|mi)(-[0-9a-f]{8})?\.(csv|md|tex|png)")


def record(row: Row) -> dict[str, Any]:
    """A row as one line: what is nested as JSON, of a traceback the end."""
    values = asdict(row) | {"reason": row.reason and last_line(row.reason)}
    nested = {name: value for name, value in values.items() if isinstance(value, dict | list)}
    dump = json.JSONEncoder(separators=(",", ":"), sort_keys=True, allow_nan=False).encode
    return values | {name: dump(value) for name, value in nested.items()}


def files(
    rows: Sequence[Row],
    methods: Sequence[str] | None = None,
    defenses: Sequence[str] | None = None,
) -> dict[str, str]:
    """Name -> content: rows.csv, and accuracy and MI of each setting as CSV, Markdown and LaTeX."""
    ours = sorted(rows, key=identity)
    texts = {"rows.csv": formats.csv(map(record, ours), [column.name for column in fields(Row)])}
    names = [column.name for column in fields(Cell)]
    columns = {"accuracy": [name for name in names if name not in ("gap", "null", "comparable")], "mi": names}
    several = len({row.setting for row in rows}) > 1
    for table in tables(ours, methods, defenses):
        name = f"{table.measure}-{table.setting[:8]}" if several else table.measure
        texts[f"{name}.csv"] = formats.csv(map(asdict, table.cells.values()), columns[table.measure])
        texts[f"{name}.md"] = formats.captioned(table)
        texts[f"{name}.tex"] = formats.latex(table)
    return texts


def stamp_of(texts: Mapping[str, str]) -> str:
    """What a heat map of these tables carries: sha256 of them all."""
    return sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()


def are_drawn(texts: Mapping[str, str], out: Path) -> bool:
    """Whether there is a heat map of just these tables beside each accuracy."""
    pictures = {Path(name).with_suffix(".png") for name in texts if name.startswith("accuracy")}
    return all(_stamp(out / name) == stamp_of(texts) for name in pictures)


def _stamp(picture: Path) -> str | None:
    try:
        with Image.open(picture) as image:
            return str(image.info.get(STAMP))
    except OSError:  # absent, or no picture
        return None


def write(texts: Mapping[str, str], out: Path) -> list[Path]:
    """Write tables, and drop older ones with their heat maps."""
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_atomically(out / name, text)
    for path in out.iterdir():
        if DERIVED.fullmatch(path.name) and path.with_suffix(".csv").name not in texts:
            path.unlink(missing_ok=True)  # another run in this folder may be as far
    return [out / name for name in texts]


def show(
    rows: Sequence[Row],
    console: Console,
    *,
    methods: Sequence[str] | None = None,
    defenses: Sequence[str] | None = None,
) -> None:
    """Print every table."""
    if not rows:
        console.print("no rows")
    formats.show(tables(rows, methods, defenses), console)
