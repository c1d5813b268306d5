"""Say which of two methods, or of two runs, is better, by how much, how sure."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli import as_json, options
from bench.cli.places import place

if TYPE_CHECKING:
    from bench.results.rows import Row

RUN = Path("results", "runs", "quick-glyphs")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("one", metavar="A", help="a method, or the folder of a run")
    parser.add_argument("other", metavar="B", help="another")
    parser.add_argument(
        "--out", type=place, metavar="DIR", default=RUN, help=f"the methods' run (default: {RUN})"
    )
    parser.add_argument("--setting", metavar="PREFIX", help="which setting, where the rows are of several")
    parser.add_argument(
        "--metric", default="test_acc", metavar="NAME", help="column of the rows (default: test_acc)"
    )
    options.ranked(parser, "the defenses to compare under, names with commas (default: all that both have)")
    options.mix_threats(parser)
    as_json.add(parser)


def main(args: argparse.Namespace) -> int:
    from bench.core.errors import unknown
    from bench.report.compare import legend, sentences, table
    from bench.report.formats import grid, line
    from bench.results import compare
    from bench.results.describe import circumstances

    if args.metric not in compare.METRICS:
        raise unknown("metric", args.metric, compare.METRICS)
    names, defenses = (args.one, args.other), options.names_of(args.defenses)
    notes, sides = [], names
    if all((Path(name) / "rows").is_dir() for name in names):
        one, other = (_rows(Path(name), args.setting) for name in names)
        found = compare.of_runs(one, other, defenses, args.metric, mix=args.mix_threats)
        sides, notes = ("A", "B"), [f"{side}: {name}" for side, name in zip("AB", names, strict=True)]
        notes += [f"They differ in {', '.join(compare.differs(one, other)) or 'no input'}."]
    else:
        rows = _rows(args.out, args.setting)
        found = compare.of_methods(rows, *names, defenses, args.metric, mix=args.mix_threats)
        notes = [f"{circumstances(rows)}."]
        if two := compare.threats_apart(*([r for r in rows if r.method == name] for name in names)):
            notes.append(f"Two threat models: {names[0]} is of {two[0]}, {names[1]} of {two[1]}.")
    told, console = [*sentences(found, sides, args.metric)], as_json.console(args.json)
    if args.json:
        as_json.show(
            {"metric": args.metric, "sides": sides, "differences": found, "said": told, "notes": notes}
        )
    for said in told:
        console.print(line(said))
    console.print()
    cells = table(found, sides, args.metric)
    firm = [name for name in cells.columns if name not in ("method", "defense")]
    console.print(grid(cells, "ll" if "method" in cells else "lr", firm=firm))
    for note in (legend(found, args.metric), *notes):
        console.print(line(note))
    return 0


def _rows(run: Path, setting: str | None) -> list[Row]:
    """Load the rows of the one setting of a run, under names that stand for one plugin each."""
    from bench.core.errors import BadInput
    from bench.results.rows import finished_run
    from bench.results.select import rows_of_setting, told_apart

    rows = finished_run(run)
    if not rows:
        raise BadInput(f"{run}/rows is empty, expected rows to compare")
    return told_apart(rows_of_setting(rows, setting))[0]
