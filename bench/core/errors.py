"""The one error that is the user's to mend; apart from the nouns, which need torch."""

from __future__ import annotations


class BadInput(ValueError):
    """A mistake that the user can mend: reported in one line, exit code 2."""
