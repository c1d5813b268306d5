"""verify: the audit of a poison that was made elsewhere, printed."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table as Shown
from rich.text import Text

from bench.data.poisons.audit import Table
from bench.data.poisons.imported import Foreign
from bench.runner.request import RunRequest, resolve
from bench.runner.session import read, say


def run(request: RunRequest) -> int:
    """Print the audit up to what is refused; BadInput says what that is."""
    asked, options = resolve(request), request.options
    (method,) = asked.methods
    assert isinstance(method.value, Foreign)
    images = read(asked) if options.data else None
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
    say(Console(), f"{method.name}: nothing to object to{open_still}")
    return 0
