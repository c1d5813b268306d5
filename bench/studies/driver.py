"""The command `study`: rows of all grids, measures of their victims, and what follows from both."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from rich.console import Console

from bench import data
from bench.core.errors import BadInput
from bench.experiment.cache import drop_victim, load_victim
from bench.metrics import METRICS
from bench.report import formats
from bench.report.figures.style import png_and_svg, style
from bench.results import rows as files
from bench.results.rewrite import rewrite
from bench.results.rows import Row
from bench.runner.request import RunRequest, varied
from bench.runner.session import Grid, open_grid, say
from bench.studies import named
from bench.studies.features import Features
from bench.studies.measure import kept, known, measure_all, measure_jobs, measure_kept, pairs, pending
from bench.studies.records import Records
from bench.studies.study import Findings, Record, Study

STUDIES = Path("results", "studies")
FEATURES = "features"  # folder beside the records, in no repository


def run(name: str, request: RunRequest) -> int:
    """Compute what is not there; OUT has rows/, records/, features/, and what follows from them.

    Returns exit code 1 where cells failed.
    """
    study, console, load = named(name), Console(), cache(data.load)
    grids = [open_grid(own, console, STUDIES / name, load) for own in requests(name, study, request)]
    out, wanted = grids[0].out, sum(len(grid.cells) for grid in grids)
    rewrite(out)
    records = Records(out / "records")
    say(console, f"{name}: {study.about}; {wanted} cells in {len(grids)} grids")
    cells = {key: (grid.context, cell) for grid in grids for key, cell in grid.keys.items()}
    finished = {key for key, row in _rows(grids).items() if row.status != "failed"}
    failed, left = _compute(grids, {*cells} - finished)
    rows = _rows(grids)
    features = Features(out / FEATURES)
    everything = measure_jobs(study, rows.values(), cells)
    todo = pending(records, everything)
    blind = [job for job in todo if kept(features, job) is None]
    failed += _compute(grids, {job.net.key for job in blind})[0]  # victims that are not kept any more
    lost = [job for job in blind if load_victim(grids[0].context.cache, job.net) is None]
    measure_all(grids, [job for job in todo if job not in lost], records, features)
    unmeasured = pending(records, everything)
    left += sum(job.cost for job in unmeasured)
    if not request.keep_victims:
        for key in {job.net.key for job in everything} - {job.net.key for job in unmeasured}:
            drop_victim(grids[0].context.cache, key)  # gigabytes, of which features are kept
    measured = [record for job in everything for record in known(records, job).values()]
    _conclude(study, [*rows.values()], measured, out, console, left)
    if left:
        say(console, f"{left} cells or measures are left; the same command goes on")
    return 1 if failed else 0


def again(name: str, out: Path) -> int:
    """Measure from kept features alone, without victims and images, and write what follows from the rows.

    Measures of images stay as they are. Raises BadInput where there are no rows, or where features of a
    measure that is lacking are not kept.
    """
    study, console = named(name), Console()
    rows = files.load_all(out / "rows") if (out / "rows").is_dir() else []
    if not rows:
        raise BadInput(f"{out} has no rows, expected the folder of a study that was run")
    records = Records(out / "records")
    everything = pairs(study, rows)
    lacking = measure_kept(records, Features(out / FEATURES), everything)
    if lost := [pair for pair in lacking if any(not METRICS[own].of_images for own in pair.measures)]:
        first = lost[0]
        raise BadInput(
            f"features of {len(lost)} of {len(everything)} pairs are not kept whole, first those of "
            f"{first.poison.method} {first.poison.key[:8]} in the net of {first.net.method} "
            f"{first.net.key[:8]}; the command without --kept computes them again"
        )
    measured = [record for pair in everything for record in known(records, pair).values()]
    left = sum(len(pair.measures) for pair in lacking)
    _conclude(study, rows, measured, out, console, left)
    return 0


def requests(name: str, study: Study, request: RunRequest) -> list[RunRequest]:
    """Ask for each of its grids; victims are kept where the study measures them."""
    keep = bool(study.measures or study.through_clean)
    return varied(replace(request, keep_victims=keep), name, study.grids())


def _compute(grids: list[Grid], wanted: set[str]) -> tuple[int, int]:
    """Compute cells, by the keys of their rows; returns how many failed, and how many had no time."""
    chosen = [(grid, [cell for key, cell in grid.keys.items() if key in wanted]) for grid in grids]
    outcomes = [grid.compute(cells) for grid, cells in chosen if cells]
    return sum(o.failed for o in outcomes), sum(o.left for o in outcomes)


def _rows(grids: list[Grid]) -> dict[str, Row]:
    """Those of the grids' cells that are there."""
    paths = {key: files.path_of(key, grid.out / "rows") for grid in grids for key in grid.keys}
    return {key: files.load(path) for key, path in paths.items() if path.exists()}


def _conclude(
    study: Study, rows: list[Row], records: list[Record], out: Path, console: Console, left: int
) -> None:
    with style():
        found = study.analyse(rows, records)
        if left:
            head, _, rest = found.text.partition("\n")
            note = f"**Unfinished: {left} cells or measures are left.**"
            found = replace(found, text=f"{head}\n\n{note}\n{rest}")
        written = write_findings(found, out)
    show_findings(found, console)
    say(console, f"written: {', '.join(map(str, written))}")


# Findings -> files, and a short table on the terminal


def write_findings(findings: Findings, out: Path) -> list[Path]:
    """Write NAME.csv, NAME.png, NAME.svg and README.md; returns their paths."""
    contents: dict[str, str | bytes] = {"README.md": findings.text.rstrip() + "\n"}
    contents |= {f"{name}.csv": formats.csv(table) for name, table in findings.tables.items()}
    for name, figure in findings.figures.items():
        contents[f"{name}.png"], contents[f"{name}.svg"] = png_and_svg(figure)
    return formats.write(contents, out)


def show_findings(findings: Findings, console: Console) -> None:
    """Print the table that fits a terminal."""
    table = findings.shown if findings.shown is not None else next(iter(findings.tables.values()), None)
    if table is not None:
        console.print(formats.grid(table))
