"""What a command line has for its options: an empty path would mean the current folder, and is refused."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from bench.core.errors import BadInput

EMPTY = Path()  # this very object, not one equal to it


def place(text: str) -> Path:
    """Read a path; check() says where it is empty."""
    return Path(text) if text else EMPTY


def check(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Raise BadInput where a path is empty, or an option has -- in the place of a value."""
    for action in parser._actions:
        given = getattr(args, action.dest, None)
        name = action.option_strings[-1] if action.option_strings else action.metavar
        if any(each is EMPTY for each in _each(given)):
            raise BadInput(f"{name} is empty, expected a path")
        values = _each(given) if isinstance(action, argparse._AppendAction) else [given]
        if action.nargs is None and any(isinstance(each, list) for each in values):  # argparse's word for --
            raise BadInput(f"{name} is --, expected a value")


def _each(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]
