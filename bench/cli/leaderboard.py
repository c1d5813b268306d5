"""Rank the methods of a run by their worst case over its defenses."""

from __future__ import annotations

import argparse

from bench.cli import as_json, options
from bench.cli.places import place


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "out", type=place, metavar="DIR", help="the run's folder; the files are written there"
    )
    parser.add_argument("--setting", metavar="PREFIX", help="which setting, where the rows are of several")
    options.ranked(parser)
    options.mix_threats(parser)
    as_json.add(parser)


def main(args: argparse.Namespace) -> int:
    from bench.core.errors import BadInput
    from bench.core.files import check_own, check_writable
    from bench.report import formats
    from bench.report.leaderboard import leaderboards, tables_of, write_leaderboard
    from bench.results.rows import finished_run
    from bench.results.select import rows_of_setting

    rows = finished_run(args.out)
    if not rows:
        raise BadInput(f"{args.out}/rows is empty, expected rows to rank")
    ours = rows_of_setting(rows, args.setting)
    boards, refused = leaderboards(ours, options.names_of(args.defenses), mix=args.mix_threats)
    check_own(args.out)
    check_writable(args.out)
    console, several = as_json.console(args.json), len(ours) < len(rows)
    for board in boards:
        written = write_leaderboard(board, args.out, several=several)
        formats.show(tables_of(board), console)
        console.print(formats.line(f"written: {', '.join(map(str, written))}"), soft_wrap=True)
    for why in refused:
        console.print(formats.line(why), soft_wrap=True)
    if args.json:
        as_json.show({"leaderboards": boards, "refused": refused})
    return 0
