"""run: compute the grid."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.verbs import options

ABOUT = "compute the grid: rows and tables"


def configure(run: argparse.ArgumentParser) -> None:
    what = run.add_argument_group("what to run")
    what.add_argument("--methods", default="all", metavar="NAMES", help="all (default), or names with commas")
    what.add_argument(
        "--defenses", default="all", metavar="NAMES", help="all (default), or names with commas"
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
    options.data_root(where)
    options.plugins(where)
    where.add_argument("--out", type=Path, metavar="DIR", help="default: results/runs/PROFILE-DATA")
    options.machine(where)
    options.pool(where)
    where.add_argument(
        "--scheduler", metavar="ADDRESS", help="of Dask distributed, whose workers compute: tcp://HOST:PORT"
    )
    where.add_argument(
        "--keep-victims", action="store_true", help="keep their weights in the cache, for later measures"
    )


def main(args: argparse.Namespace) -> int:
    from bench import running

    return running.run(args)
