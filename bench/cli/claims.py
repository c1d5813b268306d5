"""The report card: published numbers beside ours, and a verdict for each."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli import as_json
from bench.cli.places import place

if TYPE_CHECKING:
    from bench.results.rows import Row

CLAIMS = Path(__file__).parent.parent / "studies" / "claims" / "claims.csv"
REFERENCE = Path("results", "reference")
OUT = Path("results", "claims")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--claims", type=place, default=CLAIMS, metavar="FILE", help="default: the suite's")
    parser.add_argument(
        "--rows",
        type=place,
        action="append",
        default=[],
        metavar="DIR",
        help=f"a run's folder or its rows/, several times for more, beside {REFERENCE} where that exists; "
        "a row that is in several counts as in the first",
    )
    as_json.add(parser)
    parser.add_argument("--out", type=place, default=OUT, metavar="DIR", help=f"default: {OUT}")


def main(args: argparse.Namespace) -> int:
    from bench.core.files import check_writable
    from bench.report import formats
    from bench.studies.claims.card import make, record
    from bench.studies.claims.claim import load
    from bench.studies.claims.write import show, write

    claims, rows = load(args.claims), gathered(args.rows)
    check_writable(args.out)
    card, console = make(claims, rows), as_json.console(args.json)
    written = write(card, args.out)
    show(card, console)
    console.print(formats.line(f"written: {', '.join(map(str, written))}"), soft_wrap=True)
    if args.json:
        said = {"claims": [*map(record, card.judged)], "settings": card.circumstances}
        as_json.show({**said, "again": card.again, "notes": card.notes})
    return 0


def gathered(folders: list[Path]) -> list[Row]:
    """Gather the rows of the reference, if there is one, and of these folders, each key once."""
    from bench.results.rows import finished_run

    reference = [REFERENCE] if (REFERENCE / "rows").is_dir() else []
    found: dict[str, Row] = {}
    for folder in (*reference, *folders):
        for row in finished_run(folder.parent if folder.name == "rows" else folder):
            found.setdefault(row.key, row)
    return list(found.values())
