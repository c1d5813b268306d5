"""The verb `study`: rows of all grids, measures of their victims, and what follows from both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import data, victims
from bench import rows as files
from bench.core.types import Dataset
from bench.plots.canvas import style
from bench.request import RunRequest, varied
from bench.rows import Row
from bench.running import Grid, open_grid, say
from bench.studies import findings, named
from bench.studies.crew import measure_all
from bench.studies.looks import Look, known, looks, pending
from bench.studies.records import Records
from bench.studies.study import Record, Study

STUDIES = Path("results", "studies")


def run(name: str, request: RunRequest) -> int:
    """Compute what is not there; OUT has rows/, records/, and what follows from them.

    Returns exit code 1 where cells failed.
    """
    asked, console, load = named(name), Console(), _once(data.load)
    grids = [open_grid(own, console, STUDIES / name, load) for own in requests(name, asked, request)]
    out, wanted = grids[0].out, sum(len(grid.cells) for grid in grids)
    records = Records(out / "records", {*asked.measures, *asked.through_clean})
    say(console, f"{name}: {asked.about}; {wanted} cells in {len(grids)} grids")
    failed, left = _train(grids, {key for key, row in _rows(grids).items() if row.status != "failed"})
    rows = _rows(grids)
    everything = looks(asked, rows.values(), {k: (g.bench, c) for g in grids for k, c in g.keys.items()})
    todo = pending(records, everything)
    failed += _keep(grids, {look.net.key for look in todo})
    seen = [look for look in todo if victims.load(grids[0].bench.cache, look.net) is not None]
    left += len(todo) - len(seen) + measure_all(grids, seen, records)
    _conclude(asked, [*rows.values()], _measured(records, everything), out, console, left)
    if left:
        say(console, f"{left} cells or looks are left; the same command goes on")
    return 1 if failed else 0


def requests(name: str, asked: Study, request: RunRequest) -> list[RunRequest]:
    """Ask for each of its grids; victims are kept where the study measures them."""
    keep = bool(asked.measures or asked.through_clean)
    return varied(replace(request, keep_victims=keep), name, asked.grids())


def _train(grids: list[Grid], finished: set[str]) -> tuple[int, int]:
    """Compute what has no row; returns how many cells failed, and how many are left for lack of time."""
    outcomes = []
    for grid in grids:
        missing = [cell for key, cell in grid.keys.items() if key not in finished]
        outcomes += [grid.compute(missing)] if missing else []
    return sum(o.failed for o in outcomes), sum(o.left for o in outcomes)


def _keep(grids: list[Grid], needed: set[str]) -> int:
    """Train the needed victims again that are not kept any more; returns how many failed."""
    failed = 0
    for grid in grids:
        ours = [cell for key, cell in grid.keys.items() if key in needed]
        failed += grid.compute(ours).failed if ours else 0
    return failed


def _rows(grids: list[Grid]) -> dict[str, Row]:
    """Those of the grids' cells that are there."""
    paths = {key: files.path_of(key, grid.out / "rows") for grid in grids for key in grid.keys}
    return {key: files.load(path) for key, path in paths.items() if path.exists()}


def _measured(records: Records, everything: list[Look]) -> list[Record]:
    return [record for look in everything for record in known(records, look).values()]


def _conclude(
    asked: Study, rows: list[Row], records: list[Record], out: Path, console: Console, left: int
) -> None:
    with style():
        found = asked.analyse(rows, records)
        if left:
            head, _, rest = found.text.partition("\n")
            found = replace(found, text=f"{head}\n\n**Unfinished: {left} cells or looks are left.**\n{rest}")
        written = findings.write(found, out)
    findings.show(found, console)
    say(console, f"written: {', '.join(map(str, written))}")


def _once(load: Callable[..., Dataset]) -> Callable[..., Dataset]:
    """All grids share what was read."""
    kept: dict[str, Dataset] = {}

    def loaded(*what: Any, **how: Any) -> Dataset:
        asked = repr((what, sorted(how.items())))
        if asked not in kept:
            kept[asked] = load(*what, **how)
        return kept[asked]

    return loaded
