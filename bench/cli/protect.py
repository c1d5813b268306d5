"""Publish a folder of labelled images of any size so that nets learn little from it."""

from __future__ import annotations

import argparse

from bench.cli import options
from bench.cli.places import place


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "dir",
        type=place,
        metavar="DIR",
        help="DIR/CLASS/* or DIR/train/CLASS/*: png, jpg, ...; see list data",
    )
    parser.add_argument("--method", dest="methods", required=True, metavar="M", help="one name, such as tap")
    parser.add_argument("--out", type=place, required=True, metavar="DIR2", help="folder to make")
    parser.add_argument(
        "--size", type=int, default=64, metavar="S", help="side at which delta is made (default: 64)"
    )
    options.crafting(parser, profile="cifar-cpu")
    options.machine(parser)


def main(args: argparse.Namespace) -> int:
    request = options.checked(args)

    from bench.runner import protect

    return protect.run(request, args.dir, args.out, args.size)
