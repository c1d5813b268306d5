"""Check the methods, defenses and nets of a folder, a line for each property."""

from __future__ import annotations

import argparse

from bench.cli.places import place


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", type=place, metavar="DIR", help="folder with methods/, defenses/ or nets/")


def main(args: argparse.Namespace) -> int:
    """Print a line for each property; 1 where one does not hold."""
    from bench.conform.run import findings

    failed = 0
    for found in findings(args.dir):
        print(found, flush=True)
        failed += found.said is not None
    print(f"{failed} properties do not hold" if failed else "all properties hold")
    return 1 if failed else 0
