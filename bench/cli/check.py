"""The regression gate: compare a run's rows with a baseline."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli import as_json
from bench.cli.places import place

if TYPE_CHECKING:
    from rich.console import Console

    from bench.results.regression import Comparison, Line

EXITS = "Exit codes: 0 all within tolerance, 1 something moved, failed or is missing, 2 not comparable."
RUN = Path("results", "runs", "gate")
UNITS = {  # column of a row -> how people read it: what it is, units in one, decimals
    "test_acc": ("accuracy %", 100, 1),
    "mi": ("MI nats", 1, 3),
    "mi_gap": ("MI gap nats", 1, 3),
    "linf": ("L-inf /255", 255, 1),
    "l2": ("L2", 1, 3),
}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "out", type=place, metavar="DIR", nargs="?", default=RUN, help=f"the run's folder (default: {RUN})"
    )
    parser.epilog = EXITS
    as_json.add(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--baseline",
        type=place,
        metavar="FILE",
        help="compare with this one (default: the suite's own, of run --config gate)",
    )
    what.add_argument("--write", type=place, metavar="FILE", help="make a baseline from the rows")


def main(args: argparse.Namespace) -> int:
    from rich.console import Console

    from bench.core.files import check_writable
    from bench.results import baseline, regression
    from bench.results.rows import finished_run

    rows = finished_run(args.out)
    if args.write:
        check_writable(args.write.parent)
        made = baseline.make(rows)
        baseline.save(made, args.write)
        print(f"baseline of {len(made.cells)} cells written to {args.write}")
        return 0
    comparison = regression.compare(baseline.load(args.baseline or baseline.OWN), rows)
    if args.json:
        as_json.show(as_json.comparison(comparison))
    else:
        show(comparison, Console())
    return 0 if comparison.passed else 1


def show(comparison: Comparison, console: Console) -> None:
    """Show what moved first, then the rest; reasons and notes below, a summary last."""
    from collections import Counter

    import pandas as pd

    from bench.report.formats import grid, line

    firm = ["measure", "baseline", "now", "change", "allowed", "verdict"]
    cells = pd.DataFrame(map(texts, comparison.lines), columns=["cell", *firm])
    console.print(grid(cells, "llrrrrl", firm=firm))
    reasons = [f"{line.cell}: {line.verdict}, {line.reason}" for line in comparison.lines if line.reason]
    counted = Counter(line.verdict for line in comparison.lines)
    said = ", ".join(f"{number} {verdict}" for verdict, number in counted.items())
    for text in (*reasons, *comparison.notes, f"{'passed' if comparison.passed else 'FAILED'}: {said}"):
        console.print(line(text))


def texts(line: Line) -> list[str]:
    """Write a line for people; empty where there is no number."""
    name, scale, digits = UNITS.get(line.measure, (line.measure, 1, 3))
    signed = "" if line.difference is None else f"{scale * line.difference:+.{digits}f}"
    then, now, allowed = (
        "" if number is None else f"{scale * number:.{digits}f}"
        for number in (line.then, line.now, line.tolerance)
    )
    return [line.cell, name, then, now, signed, allowed, line.verdict]
