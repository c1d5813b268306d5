"""Tables -> files that can be deleted at any time, and the same tables on the terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from hashlib import sha256
from math import ceil
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image
from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from bench.aggregate import Cell
from bench.core.files import write_atomically
from bench.latex import latex
from bench.rows import Row
from bench.select import identity, last_line
from bench.tables import Table, tables

SPACE = 2  # between columns of the terminal
STAMP = "Tables"  # the name under which a heat map carries stamp_of()
DERIVED = re.compile(r"(accuracy|mi)(-[0-9a-f]{8})?\.(csv|md|tex|png)")

# Tables -> text


def markdown(table: Table) -> str:
    def line(texts: Iterable[str]) -> str:
        return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"

    head = [line(["method", *table.defenses]), line([":--"] + ["--:"] * len(table.defenses))]
    body = [line([method, *table.texts(method)]) for method in table.methods]
    notes = [f"    {note}" for note in table.notes()]  # as code: a reason may look like markup
    return "\n".join([table.caption, "", *head, *body, *(["", *notes] if notes else []), ""])


def csv(records: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    # dtype object: whole numbers stay whole beside an empty cell
    frame = pd.DataFrame(list(records), columns=list(columns), dtype=object)
    return str(frame.to_csv(index=False, lineterminator="\n"))


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
    texts = {"rows.csv": csv((record(row) for row in ours), [column.name for column in fields(Row)])}
    names = [column.name for column in fields(Cell)]
    columns = {"accuracy": [name for name in names if name not in ("gap", "null", "comparable")], "mi": names}
    several = len({row.setting for row in rows}) > 1
    for table in tables(ours, methods, defenses):
        name = f"{table.measure}-{table.setting[:8]}" if several else table.measure
        texts[f"{name}.csv"] = csv((asdict(cell) for cell in table.cells.values()), columns[table.measure])
        texts[f"{name}.md"] = markdown(table)
        texts[f"{name}.tex"] = latex(table)
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


# Tables -> terminal


def fold(name: str, width: int) -> str:
    """A name in lines of at most this width, broken behind - _ @ where it can be."""
    lines = [""]
    for part in re.findall(r"[^-_@]*[-_@]|[^-_@]+", name):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def blocks(table: Table, width: int) -> Iterator[tuple[list[int], int]]:
    """Columns that fit beside each other, and how wide each may get: no number is ever cut."""
    words = [word for method in table.methods for text in table.texts(method) for word in text.split()]
    room = width - max(len(name) for name in ["method", *table.methods])
    most = max(1, room // (max(len(word) for word in words) + SPACE))
    total = len(table.defenses)
    size = ceil(total / ceil(total / most))
    for start in range(0, total, size):
        indices = list(range(start, min(start + size, total)))
        yield indices, room // len(indices) - SPACE


def grid(table: Table, indices: Sequence[int], width: int) -> RichTable:
    shown = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, SPACE - 1, 0, 0))
    shown.add_column("method", no_wrap=True)
    for index in indices:
        header = Text(fold(table.defenses[index], width))
        shown.add_column(header, justify="right", max_width=width, overflow="fold")
    for method in table.methods:
        texts = table.texts(method)
        shown.add_row(Text(method), *(Text(texts[index]) for index in indices))
    return shown


def show(
    rows: Sequence[Row],
    console: Console,
    *,
    methods: Sequence[str] | None = None,
    defenses: Sequence[str] | None = None,
) -> None:
    """Print every table, in blocks of defenses where the terminal is narrow."""
    if not rows:
        console.print("no rows")
    for table in tables(rows, methods, defenses):
        console.print(Text(table.caption))
        for indices, width in blocks(table, console.width):
            console.print()
            console.print(grid(table, indices, width))
        for note in table.notes():
            console.print(Text(note))
        console.print()
