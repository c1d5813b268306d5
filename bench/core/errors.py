"""The one error that is the user's to mend; apart from the nouns, which need torch."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class BadInput(ValueError):
    """A mistake that the user can mend: reported in one line, exit code 2."""


def unknown(kind: str, name: str, names: Iterable[str]) -> BadInput:
    """Make the error for a name that does not exist, with the nearest that does."""
    known = list(names)
    near = get_close_matches(name.lower(), known, 1, 0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return BadInput(f"unknown {kind} {name!r}; {hint}there are: {', '.join(known)}")
