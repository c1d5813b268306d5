"""Text that somebody else wrote: which names can be, and how a line is shown.

It moves no cursor, and turns no writing around.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

# controls, among them ESC and newlines; marks of direction; what ends lines; halves of pairs
UNPRINTED = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

NAME, LONGEST = r"[a-z0-9][a-z0-9-]*", 40  # what file names, tables and --set can hold


def bad_names(names: Iterable[str]) -> Iterator[str]:
    """Say which names cannot be; what is in braces may be any number."""
    for name in names:
        if not re.fullmatch(NAME, re.sub(r"{\w+}", "", name)) or len(name) > LONGEST:
            yield f"the name {name!r}, expected lower-case letters, digits and -, at most {LONGEST}"


def printable(text: object, keep: str = "") -> str:
    """Write characters that steer a terminal, or the direction of writing, as their numbers: \\x1b.

    keep: those that stay.
    """

    def number(found: re.Match[str]) -> str:
        return found[0] if found[0] in keep else ascii(found[0])[1:-1]

    return UNPRINTED.sub(number, str(text))
