"""Compute the grid: rows, tables and report."""

from __future__ import annotations

import argparse

from bench.cli import as_json, config, options
from bench.cli.places import place


def configure(run: argparse.ArgumentParser) -> None:
    what = run.add_argument_group("what to run")
    what.add_argument(
        "--methods", default="all", metavar="NAMES", help="all (default), everything, or names with commas"
    )
    what.add_argument(
        "--defenses", default="all", metavar="NAMES", help="all (default), everything, or names with commas"
    )
    what.add_argument(
        "--purified", metavar="DIR", help="exported images that were purified elsewhere: one defense more"
    )
    options.images(what)
    options.crafting(what)
    what.add_argument("--net", help="the victims' net")
    options.victims(what)
    what.add_argument("--share", metavar="F", help="of the training images published poisoned (default: 1)")
    what.add_argument(
        "--drop-poisoned", action="store_true", help="victims train without these: the baseline of a share"
    )
    where = run.add_argument_group("where and how")
    options.where(where, "results/runs/PROFILE-DATA")
    where.add_argument(
        "--scheduler", metavar="ADDRESS", help="of Dask distributed, whose workers compute: tcp://HOST:PORT"
    )
    for name, said in (("ca-file", "whom to trust"), ("cert", "this process's own"), ("key", "its key")):
        where.add_argument(
            f"--tls-{name}", type=place, metavar="FILE", help=f"with --scheduler tls://HOST:PORT, PEM: {said}"
        )
    where.add_argument(
        "--keep-victims", action="store_true", help="keep their weights in the cache, for later measures"
    )
    where.add_argument(
        "--no-report",
        dest="report",
        action="store_false",
        help="without figures and page, which report makes",
    )
    where.add_argument(
        "--log", metavar="NAMES", help="finished rows also to tensorboard, wandb, mlflow (names with commas)"
    )
    as_json.add(where)
    config.add(run)
    options.before(run)


def main(args: argparse.Namespace) -> int:
    """Compute the grid; the rows are in OUT/rows, everything else in OUT is derived from them."""
    given = options.speed(args)
    request = options.checked(args)

    from rich.console import Console

    from bench.cli import dry_run
    from bench.report.write import derive
    from bench.runner import logs
    from bench.runner.session import open_grid, say

    adapters = logs.chosen(args.log)
    if args.dry_run:
        return dry_run.run([request], given, json=args.json)
    console = Console(stderr=args.json)
    grid = open_grid(request, console)
    outcome = grid.compute(grid.cells, logs.opened(adapters, grid.out, lambda line: say(console, line)))
    methods, defenses = ([p.name for p in kind] for kind in (grid.resolved.methods, grid.resolved.defenses))
    keys = {*grid.keys}
    tables = derive(grid.out, console, keys, methods, defenses, redraw=False, report=args.report)
    if args.json:
        as_json.show({**as_json.tables(tables), "failed": outcome.failed, "left": outcome.left})
    if outcome.left:
        console.print(f"{outcome.left} cells are left for lack of time; the same command goes on")
    return 1 if outcome.failed else 0
