"""What a command line has for its options: an empty path would mean the current folder, and is refused.

So is a user's home where there is no such user.
"""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.core.errors import BadInput

EMPTY = Path()  # this very object, not one equal to it


def place(text: str) -> Path:
    """Read a path, with ~ and ~user; check() says where it is empty, or none."""
    if not text:
        return EMPTY
    with suppress(RuntimeError):
        return Path(text).expanduser()
    return Path(text)


def check(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Raise BadInput where a path is empty or none, or an option has -- in the place of a value."""
    for action in parser._actions:
        given = getattr(args, action.dest, None)
        name = action.option_strings[-1] if action.option_strings else action.metavar
        if any(each is EMPTY for each in _each(given)):
            raise BadInput(f"{name} is empty, expected a path")
        for each in (each for each in _each(given) if isinstance(each, Path)):
            if str(each).startswith("~"):
                raise BadInput(f"{name} is {each}, expected a path: there is no such user")
            if "\0" in str(each):
                raise BadInput(f"{name} has a null byte, expected a path")
        values = _each(given) if isinstance(action, argparse._AppendAction) else [given]
        if action.nargs is None and any(isinstance(each, list) for each in values):  # argparse's word for --
            raise BadInput(f"{name} is --, expected a value")


def _each(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]
