"""Derive the tables of a run again from its rows."""

from __future__ import annotations

import argparse

from bench.cli import as_json, options
from bench.cli.places import place


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=place, metavar="DIR", help="the run's folder")
    options.mix_threats(parser)
    as_json.add(parser)


def main(args: argparse.Namespace) -> int:
    from bench.report.write import derive
    from bench.results.rows import finished_run

    finished_run(args.out)
    tables = derive(args.out, as_json.console(args.json), report=False, mix=args.mix_threats)
    if args.json:
        as_json.show(as_json.tables(tables))
    return 0
