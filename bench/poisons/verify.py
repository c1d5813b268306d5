"""verify: the audit of a poison that was made elsewhere, printed."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table as Shown
from rich.text import Text

from bench import arguments, data, running
from bench.core.errors import BadInput
from bench.poisons.audit import Table
from bench.poisons.foreign import Foreign


def run(args: argparse.Namespace) -> int:
    """Print the audit up to what is refused; BadInput says what that is."""
    if "," in args.path:
        raise BadInput(f"verify: {args.path} has a comma, which separates names; expected a path without")
    args.methods = f"file:{args.path}"
    if args.data and args.limit is None:
        args.limit = "none"  # a poison is audited as far as the data set goes, not as far as a profile
    setting, (method,), _ = arguments.resolve(args)
    assert isinstance(method.value, Foreign)
    images = None
    if args.data:
        cache = running.cache_of(args)
        images = data.load(setting.data, root=args.data_root, limit=setting.limit, cache=cache)
    table: Table = {}
    try:
        method.value.audited(images, table)
    finally:
        shown = Shown("what", title=Text(method.name))
        shown.add_column("seen", overflow="fold")
        for what, seen in table.items():
            shown.add_row(what, Text(seen))
        if table:
            Console().print(shown)
    open_still = "" if images else " in the file alone; --data names the images to measure it against"
    line = f"{method.name}: nothing to object to{open_still}"
    Console().print(line, markup=False, highlight=False, soft_wrap=True)
    return 0
