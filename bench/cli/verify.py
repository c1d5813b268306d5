"""Audit a poison that was made elsewhere, against the clean images where --data names them."""

from __future__ import annotations

import argparse

from bench.cli import as_json, options
from bench.cli.places import place


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", metavar="PATH", help="export, .npy, .npz, .pt, .safetensors, parquet, or a tool's folder"
    )
    options.images(parser)
    options.crafting(parser)
    parser.add_argument("--cache", type=place, metavar="DIR", help="of drawn and downloaded data sets")
    as_json.add(parser)


def main(args: argparse.Namespace) -> int:
    """Print the audit up to what is refused; BadInput says what that is."""
    from bench.core.errors import BadInput
    from bench.experiment.named import split

    args.methods = f"file:{args.path}"
    if len([*split(args.methods, ["file"])]) > 1:  # at a comma, which paths that are there may have
        raise BadInput(f"verify: there is no {args.path}")
    if args.data and args.limit is None:
        args.limit = "none"  # as far as the data set goes, not as far as a profile
    request = options.checked(args)

    from rich.table import Table
    from rich.text import Text

    from bench.core.texts import printable
    from bench.runner.request import resolve
    from bench.runner.session import read, say

    resolved = resolve(request)
    (method,), console = resolved.methods, as_json.console(args.json)
    images = read(resolved) if args.data else None
    for note in images.notes if images else ():
        say(console, note)
    table: dict[str, str] = {}
    try:
        method.value.audited(images, table)
    finally:
        shown = Table("what", title=Text(printable(method.name)))
        shown.add_column("seen", overflow="fold")
        for what, seen in table.items():
            shown.add_row(what, Text(printable(seen)))
        if table:
            console.print(shown)
        if args.json:
            as_json.show({"poison": method.name, "seen": table})
    still_open = "" if images else " in the file alone; --data names the images to measure it against"
    say(console, f"{method.name}: nothing to object to{still_open}")
    return 0
