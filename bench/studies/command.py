"""The command that a study's rows came from."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from bench.results.rows import Row

CELL = ("--methods", "--defenses")  # options of a row's own command that a study chooses


def command_of(study: str, rows: Sequence[Row]) -> str:
    """Spell it from what the rows' commands have in common; empty where they say nothing.

    What is set of a method or defense stands in its own rows alone. Folders are DIR.
    """
    each = [_options(row.rerun) for row in rows if row.rerun]
    if not each:
        return ""
    shared = [own for own in each[0] if all(own in other for other in each)]
    sets = dict.fromkeys(own for options in each for own in options if own[0] == "--set")
    chosen = [own for own in shared if own[0] not in (*CELL, "--set")] + [*sets]
    return shlex.join(["python", "-m", "bench", "study", study, *(part for own in chosen for part in own)])


def _options(command: str) -> list[tuple[str, ...]]:
    """Split a command into its options, each with its values."""
    found: list[list[str]] = []
    for word in shlex.split(command):
        if word.startswith("--"):
            found.append([word])
        elif found:
            found[-1].append(word)
    return [tuple(own) for own in found]
