"""run: compute the grid."""

from __future__ import annotations

import argparse
from pathlib import Path

ABOUT = "compute the grid: rows and tables"


def configure(run: argparse.ArgumentParser) -> None:
    what = run.add_argument_group("what to run")
    what.add_argument("--methods", default="all", metavar="NAMES", help="all (default), or names with commas")
    what.add_argument(
        "--defenses", default="all", metavar="NAMES", help="all (default), or names with commas"
    )
    what.add_argument("--profile", default="quick", help="preset of everything below (default: quick)")
    what.add_argument(
        "--data", help="data set: glyphs, cifar10, cifar100, svhn, parquet:DIR, folder:DIR[@SIZE]"
    )
    what.add_argument("--limit", metavar="N", help="class-balanced subset of the training images; none: all")
    what.add_argument("--net", help="the victims' net")
    what.add_argument("--surrogate", metavar="NET", help="the methods' net")
    what.add_argument("--precision", help="fp32 or bf16")
    what.add_argument(
        "--eps", help="L-inf budget for all methods, such as 8/255 (default: each method's own)"
    )
    what.add_argument("--seed", help="base of all random streams")
    what.add_argument("--reps", metavar="V", help="victims for each poison")
    what.add_argument("--poison-reps", metavar="P", help="poisons for each method")
    what.add_argument("--prepare-test", action="store_true", help="defenses prepare test images too")
    what.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="any field of the profile (victim.epochs=5) or of a plugin (tap.steps=100)",
    )
    where = run.add_argument_group("where and how")
    where.add_argument("--data-root", type=Path, metavar="DIR", help="where cifar10, cifar100, svhn lie")
    where.add_argument(
        "--plugins", type=Path, metavar="DIR", help="folder with further methods/ or defenses/"
    )
    where.add_argument("--out", type=Path, metavar="DIR", help="default: results/runs/PROFILE-DATA")
    where.add_argument(
        "--cache", type=Path, metavar="DIR", help="poisons and checkpoints; default: the user's"
    )
    where.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1")
    where.add_argument(
        "--workers", type=int, metavar="N", help="processes; default: CPU cores, or 1 on a GPU"
    )
    where.add_argument("--threads", type=int, default=1, metavar="N", help="CPU threads of each (default: 1)")
    where.add_argument("--minutes", type=float, metavar="M", help="start no piece that will not fit")
    where.add_argument("--save-seconds", type=float, default=30.0, metavar="S", help="between checkpoints")


def main(args: argparse.Namespace) -> int:
    from bench import running

    return running.run(args)
