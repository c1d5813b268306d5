"""leaderboard: rank the methods of one setting of a run by their worst case."""

from __future__ import annotations

import argparse
from pathlib import Path

ABOUT = "rank the methods of a run by their worst case over its defenses"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, metavar="DIR", help="the run's folder; the files are written there")
    parser.add_argument("--setting", metavar="PREFIX", help="which setting, where the rows are of several")
    parser.add_argument(
        "--defenses",
        metavar="NAMES",
        help="the set to rank over, names with commas (default: all in the rows)",
    )


def main(args: argparse.Namespace) -> int:
    from rich.console import Console

    from bench.core.errors import BadInput
    from bench.folders import check_writable, finished_run
    from bench.leaderboard import leaderboard
    from bench.setting_of import rows_of_setting
    from bench.standings import show, write_leaderboard

    rows = finished_run(args.out)
    if not rows:
        raise BadInput(f"{args.out}/rows is empty, expected rows to rank")
    ours = rows_of_setting(rows, args.setting)
    names = None if args.defenses is None else [*filter(None, map(str.strip, args.defenses.split(",")))]
    if names == []:
        raise BadInput("--defenses names none, expected names with commas between")
    board = leaderboard(ours, names)
    check_writable(args.out)
    several = len(ours) < len(rows)
    written = write_leaderboard(
        board, args.out, f"leaderboard-{board.setting[:8]}" if several else "leaderboard"
    )
    console = Console()
    show(board, console)
    console.print(f"written: {', '.join(map(str, written))}", highlight=False, soft_wrap=True)
    return 0
