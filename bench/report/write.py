"""What is written into a run's folder beside its rows: files that can be deleted at any time."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console

from bench.core.errors import BadInput
from bench.core.files import write_atomically
from bench.report import formats
from bench.report.summary import Summary, collect
from bench.report.tables import Table
from bench.results import rows as stored
from bench.results.aggregate import Cell
from bench.results.columns import FLAT, flat
from bench.results.rows import Row
from bench.results.select import identity, last_line

STAMP = "Tables"  # the name under which a heat map carries the hash of its tables
DERIVED = re.compile(r"(accuracy|mi)(-[0-9a-f]{8})?\.(csv|md|tex|png)")


def derive(
    out: Path,
    console: Console,
    keys: set[str] | None = None,
    methods: Sequence[str] | None = None,
    defenses: Sequence[str] | None = None,
    redraw: bool = True,
) -> None:
    """Write the tables and heat maps of all rows, show the tables of the keys.

    Without redraw heat maps of the same tables stay: to load what draws them takes seconds.
    """
    rows = stored.load_all(out / "rows")
    chosen = [row for row in rows if keys is None or row.key in keys]
    summaries = collect(rows, methods, defenses)
    shown = summaries if len(chosen) == len(rows) else collect(chosen, methods, defenses)
    _derive(rows, summaries, shown, out, console, redraw)


def derive_report(run: Path, console: Console, ranked: Sequence[str] | None = None) -> None:
    """Write the tables of a run again, and all figures and the page into its folder report/.

    ranked: the set of defenses that ranks (default: all); BadInput where no setting has them all.
    """
    from bench.report.figures.write import write_figures
    from bench.report.html.page import page

    rows = stored.load_all(run / "rows")
    if not rows:
        raise BadInput(f"{run / 'rows'} has no rows, expected a run that has computed a cell")
    summaries, out = collect(rows, ranked=ranked), run / "report"
    if ranked is not None and not any(own.board for own in summaries):
        raise BadInput(summaries[0].unranked)
    _derive(rows, summaries, summaries, run, console)
    figures = write_figures(summaries, run, out)
    write_atomically(out / "report.html", page(summaries, figures))
    told = f"written: {len(figures)} figures as PNG and SVG, {out / 'report.html'}"
    console.print(told, highlight=False, soft_wrap=True)


def _derive(
    rows: Sequence[Row],
    summaries: Sequence[Summary],
    shown: Sequence[Summary],
    out: Path,
    console: Console,
    redraw: bool = True,
) -> None:
    texts = files(rows, [table for own in summaries for table in own.tables])
    stamp = sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()  # of all tables
    pictures: dict[str, bytes] = {}
    names = {Path(name).with_suffix(".png") for name in texts if name.startswith("accuracy")}
    if redraw or any(_stamp(out / name) != stamp for name in names):
        from bench.report.figures.write import heat_maps

        pictures = heat_maps(summaries, {STAMP: stamp})
    written = formats.write({**texts, **pictures}, out, DERIVED)
    formats.show([table for own in shown for table in own.tables], console)
    console.print(f"written: {', '.join(map(str, written))}", highlight=False, soft_wrap=True)


def files(rows: Sequence[Row], tables: Sequence[Table]) -> dict[str, str]:
    """Map names to contents: rows.csv, and each table of the rows as CSV, Markdown and LaTeX."""
    lines = map(_record, sorted(rows, key=identity))
    texts = {"rows.csv": formats.csv(lines, [*(column.name for column in fields(Row)), *FLAT])}
    names = [column.name for column in fields(Cell)]
    columns = {"accuracy": [name for name in names if name not in ("gap", "null", "comparable")], "mi": names}
    several = len({row.setting for row in rows}) > 1
    for table in tables:
        name = f"{table.measure}-{table.setting[:8]}" if several else table.measure
        texts[f"{name}.csv"] = formats.csv(map(asdict, table.cells.values()), columns[table.measure])
        texts[f"{name}.md"] = formats.captioned(table)
        texts[f"{name}.tex"] = formats.latex(table)
    return texts


def _record(row: Row) -> dict[str, Any]:
    """Make a row one line: what is nested as JSON, of a traceback the end."""
    values = asdict(row) | {"reason": row.reason and last_line(row.reason)}
    nested = {name: value for name, value in values.items() if isinstance(value, dict | list)}
    dump = json.JSONEncoder(separators=(",", ":"), sort_keys=True, allow_nan=False).encode
    return values | {name: dump(value) for name, value in nested.items()} | flat(values)


def _stamp(picture: Path) -> str | None:
    try:
        with Image.open(picture) as image:
            return str(image.info.get(STAMP))
    except OSError:  # absent, or no picture
        return None
