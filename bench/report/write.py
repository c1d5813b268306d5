"""What is written into a run's folder beside its rows: files that can be deleted at any time."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.core.errors import BadInput
from bench.core.files import check_own, write_atomically
from bench.report import formats
from bench.report.html.warnings import warnings_of_setting
from bench.report.summary import collect
from bench.report.tables import ENDING, Table, ending
from bench.results import rows as stored
from bench.results.aggregate import Cell
from bench.results.columns import FLAT, flat
from bench.results.rows import Row
from bench.results.select import identity, one_line

DERIVED = re.compile(rf"(accuracy|mi){ENDING}\.(csv|md|tex|png)")
PAGE = "report.html"  # in the folder report/ of a run
HEAD = 2000  # bytes


def derive(
    run: Path,
    console: Console,
    keys: set[str] | None = None,
    methods: Sequence[str] | None = None,
    defenses: Sequence[str] | None = None,
    *,
    ranked: Sequence[str] | None = None,
    redraw: bool = True,
    report: bool = True,
    mix: bool = False,
) -> list[Table]:
    """Write tables and heat maps of all rows, and the report with figures; show and give the keys' tables.

    With the report the doubts about what is shown are printed, and its place.
    ranked: the set of defenses that ranks (default: all); BadInput where no setting has them all. Without
    redraw the report and figures of the same tables stay: to load what draws them takes seconds. mix: methods
    of several threat models stand in one table.
    """
    check_own(run)
    rows = stored.load_all(run / "rows")
    chosen = [row for row in rows if keys is None or row.key in keys]
    summaries = collect(rows, methods, defenses, ranked, mix=mix)
    if ranked is not None and rows and not any(own.board for own in summaries):
        raise BadInput(summaries[0].unranked)
    shown = summaries if len(chosen) == len(rows) else collect(chosen, methods, defenses, mix=mix)
    texts, page = files(rows, [table for own in summaries for table in own.tables]), run / "report" / PAGE
    stamp = sha256(json.dumps([texts, ranked], sort_keys=True).encode()).hexdigest()  # of what is shown
    heat_maps = {(run / name).with_suffix(".png") for name in texts if name.startswith("accuracy")}
    drawn: dict[str, bytes] = {}
    redraw = redraw or not all(_holds(path, stamp) for path in (*heat_maps, *([page] if report else [])))
    if redraw:
        from bench.report.figures.write import draw_heat_maps, write_figures

        drawn = draw_heat_maps(summaries, stamp)
    written = formats.write({**texts, **drawn}, run, DERIVED)
    tables = [table for own in shown for table in own.tables]
    formats.show(tables, console)
    console.print(formats.line(f"written: {', '.join(map(str, written))}"), soft_wrap=True)
    if report and rows:
        if redraw:
            from bench.report.html.page import render

            write_atomically(page, render(summaries, write_figures(summaries, run, page.parent), stamp))
        doubts = dict.fromkeys(f"doubt: {doubt}" for own in shown for doubt in warnings_of_setting(own))
        for said in (*doubts, f"report: {page}"):
            console.print(formats.line(said), soft_wrap=True)
    return tables


def _holds(path: Path, stamp: str) -> bool:
    """Whether a heat map or report says in its beginning that it is of these tables."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        return stamp.encode() in file.read(HEAD)


def files(rows: Sequence[Row], tables: Sequence[Table]) -> dict[str, str]:
    """Map names to contents: rows.csv, and each table of the rows as CSV, Markdown and LaTeX."""
    lines = map(record, sorted(rows, key=identity))
    texts = {"rows.csv": formats.csv(lines, [*(column.name for column in fields(Row)), *FLAT])}
    names = [column.name for column in fields(Cell)]
    columns = {"accuracy": [name for name in names if name not in ("gap", "gap_low", "gap_high", "null")]}
    columns["mi"] = [name for name in names if name != "robust"]
    several = len({row.setting for row in rows}) > 1
    for table in tables:
        name = table.measure + ending(table.setting, table.threat, several=several)
        cells = [*table.cells.values(), *table.early.values()]
        texts[f"{name}.csv"] = formats.csv(map(asdict, cells), columns[table.measure])
        texts[f"{name}.md"] = formats.captioned(table)
        texts[f"{name}.tex"] = formats.latex(table, name)
    return texts


def record(row: Row) -> dict[str, Any]:
    """Make a row one line: what is nested as JSON, of a traceback the end."""
    values = asdict(row) | {"reason": row.reason and one_line(row.reason)}
    nested = {name: value for name, value in values.items() if isinstance(value, dict | list)}
    dump = json.JSONEncoder(separators=(",", ":"), sort_keys=True, allow_nan=False).encode
    return values | {name: dump(value) for name, value in nested.items()} | flat(values)
