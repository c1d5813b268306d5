"""What there is: methods, defenses, data sets, nets, profiles, studies; or what one of them is."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.cli import as_json
from bench.cli.places import place


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="say what this is: source, fields, units, threat model"
    )
    parser.add_argument(
        "--markdown",
        nargs="?",
        const="-",
        metavar="FILE",
        help="print the tables that README has of methods and defenses, or bring those of a page up to date",
    )
    as_json.add(parser)
    parser.add_argument("--plugins", type=place, metavar="DIR", help="with methods/, defenses/ or nets/")


def main(args: argparse.Namespace) -> int:
    """Print what there is, or all that has the name."""
    from rich.console import Console

    from bench.cli import about
    from bench.experiment.plugged import plug
    from bench.experiment.registry import KINDS, catalog

    plug(args.plugins, declared=True)
    catalogs = [catalog(kind, args.plugins, declared=True) for kind in KINDS]
    if args.markdown:
        from bench.cli import markdown

        if args.markdown == "-":
            print(markdown.overview(catalogs))
        else:
            markdown.rewrite(Path(args.markdown), catalogs)
        return 0
    if args.json:
        from bench.cli import names

        as_json.show(names.entries(catalogs, args.name))
        return 0
    console = Console()
    for part in about.everything(catalogs) if args.name is None else about.one(args.name, catalogs):
        console.print(part, highlight=False)
    return 0
