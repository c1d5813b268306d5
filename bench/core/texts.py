"""Text that somebody else wrote, as a line that can be shown: it moves no cursor, turns no writing around."""

from __future__ import annotations

import re

# controls, among them ESC and newlines; marks of direction; what ends lines; halves of pairs
UNPRINTED = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: object, keep: str = "") -> str:
    """Write characters that steer a terminal, or the direction of writing, as their numbers: \\x1b.

    keep: those that stay.
    """

    def number(found: re.Match[str]) -> str:
        return found[0] if found[0] in keep else ascii(found[0])[1:-1]

    return UNPRINTED.sub(number, str(text))
