"""table: derive the tables of a run again."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.cli import options

ABOUT = "derive the tables of a run again from its rows"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, metavar="DIR", help="the run's folder")
    options.mix_threats(parser)


def main(args: argparse.Namespace) -> int:
    from rich.console import Console

    from bench.report.write import derive
    from bench.results.rows import finished_run

    finished_run(args.out)
    derive(args.out, Console(), report=False, mix=args.mix_threats)
    return 0
