"""Check rows for a pull request: schema, keys, revisions, golden numbers, one cell computed again."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.places import place

if TYPE_CHECKING:
    from bench.results.rows import Row

EXITS = "Exit codes: 0 they can be accepted, 1 something is in the way, 2 not readable as rows."


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "places", nargs="+", type=place, metavar="PATH", help="folders of runs, or files of their rows"
    )
    parser.add_argument("--data", help="where to find the images, where the rows' command says DIR")
    parser.add_argument(
        "--no-rerun", dest="rerun", action="store_false", help="compute no cell again; somebody else does"
    )
    parser.add_argument("--golden", type=place, metavar="DIR", help="default: tests/golden of a checkout")
    parser.epilog = EXITS


def main(args: argparse.Namespace) -> int:
    from bench.core.errors import BadInput
    from bench.runner import submission

    golden = args.golden or submission.GOLDEN
    if not golden.is_dir():
        raise BadInput(f"{golden} is not a folder, expected golden numbers, as in a checkout's tests/golden")
    runs = submission.gathered(args.places)
    said = [each for run, rows in runs.items() for each in submission.complaints(run, rows, golden)]
    if not said and args.rerun:
        said = [each for run, rows in runs.items() for each in _again(run, rows, args.data)]
    for each in said:
        print(each)
    counted = sum(map(len, runs.values()))
    print(f"{'refused' if said else 'accepted'}: {counted} rows of {len(runs)} runs")
    return 1 if said else 0


def _again(run: Path, rows: list[Row], data: str | None) -> list[str]:
    """Compute the cheapest row again; gives what is wrong with it."""
    import tempfile

    from bench.cli.main import main as command
    from bench.results.rows import load_all
    from bench.runner import submission

    found = submission.chosen(rows, data)
    if found is None:
        return [f"{run}: no row can be computed again without its images, expected --data, or --no-rerun"]
    row, words = found
    with tempfile.TemporaryDirectory() as place:
        where = ["--out", f"{place}/out", "--cache", f"{place}/cache", "--workers", "1", "--no-report"]
        code = command(["run", *words, *where])
        agrees, said = submission.compared(
            row, load_all(Path(place, "out", "rows")) if code in (0, 1) else []
        )
    print(said)
    return [] if agrees else [f"{run}: {said}"]
