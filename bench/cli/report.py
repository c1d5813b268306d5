"""Tables, figures and one page (DIR/report/report.html) from the rows of a run."""

from __future__ import annotations

import argparse

from bench.cli import options
from bench.cli.places import place


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=place, metavar="DIR", help="the run's folder")
    options.ranked(parser)
    options.mix_threats(parser)


def main(args: argparse.Namespace) -> int:
    from rich.console import Console

    from bench.core.errors import BadInput
    from bench.core.files import check_writable
    from bench.report.write import derive
    from bench.results.rows import finished_run

    if not finished_run(args.out):
        raise BadInput(f"{args.out / 'rows'} has no rows, expected a run that has computed a cell")
    check_writable(args.out / "report")
    derive(args.out, Console(), ranked=options.names_of(args.defenses), mix=args.mix_threats)
    return 0
