"""A method's published images as PNG in training order, with a manifest."""

from __future__ import annotations

import argparse

from bench.cli import options
from bench.cli.places import place


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("methods", metavar="METHOD", help="one name, such as tap")
    parser.add_argument("dir", type=place, metavar="DIR", help="folder to make")
    parser.add_argument("--poison-rep", type=int, default=0, metavar="I", help="repetition (default: 0)")
    options.images(parser)
    options.crafting(parser)
    options.machine(parser)


def main(args: argparse.Namespace) -> int:
    request = options.checked(args)

    from bench.runner import export

    return export.run(request, args.dir, args.poison_rep)
