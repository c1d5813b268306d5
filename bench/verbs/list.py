"""list: what there is."""

from __future__ import annotations

import argparse
from pathlib import Path

ABOUT = "what there is: methods, defenses, data sets, nets, profiles"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plugins", type=Path, metavar="DIR", help="folder with methods/ or defenses/")


def main(args: argparse.Namespace) -> int:
    """Print what there is."""
    from rich.console import Console
    from rich.table import Table

    from bench import data
    from bench.nets import NETS
    from bench.registry import KINDS, catalog, check_plugins
    from bench.settings import PROFILES
    from bench.studies import NAMES, named

    if args.plugins:
        check_plugins(args.plugins)
    console = Console()
    for kind in KINDS:
        found = catalog(kind, args.plugins)
        shown = Table("name", "in all", "what it is", title=kind)
        for plugin in found.variants.values():
            shown.add_row(plugin.name, "yes" if plugin.name in found.everything else "", plugin.about)
        for pattern in found.patterns:
            shown.add_row(pattern, "", "any number in the braces")
        for scheme in found.schemes:
            shown.add_row(f"{scheme}:PATH", "", "images or deltas made elsewhere")
        console.print(shown)
    console.print(f"data sets: {', '.join(data.names())}\nnets: {', '.join(NETS)}", highlight=False)
    for name, profile in PROFILES.items():
        console.print(f"profile {name}: {profile}", highlight=False)
    for name in NAMES:
        console.print(f"study {name}: {named(name).about}", highlight=False)
    return 0
