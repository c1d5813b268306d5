"""verify: the audit of a poison that was made elsewhere, printed."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table as Shown

from bench import data, running
from bench.poisons.audit import Table
from bench.poisons.foreign import Foreign


def run(args: argparse.Namespace) -> int:
    """Print the audit up to what is refused; BadInput says what that is."""
    args.methods = f"file:{args.path}"
    setting, (method,), _ = running.resolve(args)
    assert isinstance(method.value, Foreign)
    images = None
    if args.data:
        cache = running.cache_of(args)
        images = data.load(setting.data, root=args.data_root, limit=setting.limit, cache=cache)
    table: Table = {}
    try:
        method.value.audited(images, table)
    finally:
        shown = Shown("what", title=method.name)
        shown.add_column("seen", overflow="fold")
        for what, seen in table.items():
            shown.add_row(what, seen)
        Console().print(shown)
    Console().print(f"{method.name}: nothing to object to", highlight=False)
    return 0
