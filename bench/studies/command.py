"""The command that rows came from."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from bench.results.rows import Row

CELL = ("--methods", "--defenses")  # options of a row's own command that a study chooses


def command_of(study: str, rows: Sequence[Row]) -> str:
    """Spell it from what the rows' commands have in common; empty where they say nothing.

    What is set of a method or defense stands in its own rows alone. Folders are DIR.
    """
    each = _each(rows)
    if not each:
        return ""
    sets = dict.fromkeys(own for options in each for own in options if own[0] == "--set")
    return _spelled(["study", study], [*_shared(each), *sets])


def cell_command(rows: Sequence[Row]) -> str:
    """Spell the command of any cell among rows: METHOD and DEFENSE stand for its own; empty as above.

    What is set of a method or defense, and how many victims it has, is left out.
    """
    each = _each(rows)
    return _spelled(["run", "--methods", "METHOD", "--defenses", "DEFENSE"], _shared(each)) if each else ""


def _each(rows: Sequence[Row]) -> list[list[tuple[str, ...]]]:
    return [_options(row.rerun) for row in rows if row.rerun]


def _shared(each: list[list[tuple[str, ...]]]) -> list[tuple[str, ...]]:
    """Keep what all commands say, but for what chooses a cell or is set."""
    shared = [own for own in each[0] if all(own in other for other in each)]
    return [own for own in shared if own[0] not in (*CELL, "--set")]


def _spelled(first: Sequence[str], options: Sequence[tuple[str, ...]]) -> str:
    return shlex.join(["python", "-m", "bench", *first, *(part for own in options for part in own)])


def _options(command: str) -> list[tuple[str, ...]]:
    """Split a command into its options, each with its values."""
    found: list[list[str]] = []
    for word in shlex.split(command):
        if word.startswith("--"):
            found.append([word])
        elif found:
            found[-1].append(word)
    return [tuple(own) for own in found]
