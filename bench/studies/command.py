"""The command that rows came from."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import chain, pairwise

from bench.results.rows import Row

ASIDE = ("--methods", "--defenses", "--set")  # of a row's own command: what a study chooses, and what is set
Option = tuple[str, ...]


def command_of(study: str, rows: Sequence[Row]) -> str:
    """Spell it from what the rows' commands have in common; empty where they say nothing.

    What is set of a method or defense stands in its own rows alone. Folders are DIR.
    """
    each = [_options(row.rerun) for row in rows if row.rerun]
    sets = dict.fromkeys(own for options in each for own in options if own[0] == "--set")
    return _spelled(["study", study], each, *sets)


def cell_command(rows: Sequence[Row]) -> str:
    """Spell the command of any cell among rows: METHOD and DEFENSE stand for its own; empty as above.

    What is set of a method or defense, and how many victims it has, is left out.
    """
    each = [_options(row.rerun) for row in rows if row.rerun]
    return _spelled(["run", "--methods", "METHOD", "--defenses", "DEFENSE"], each)


def _spelled(first: Sequence[str], each: Sequence[list[Option]], *sets: Option) -> str:
    """Keep what all commands say, but for what chooses a cell or is set."""
    if not each:
        return ""
    shared = [own for own in each[0] if own[0] not in ASIDE and all(own in other for other in each)]
    return shlex.join(["python", "-m", "bench", *first, *chain(*shared, *sets)])


def _options(command: str) -> list[Option]:
    """Split a command into its options, each with its values."""
    words = shlex.split(command)
    starts = [place for place, word in enumerate(words) if word.startswith("--")]
    return [tuple(words[start:end]) for start, end in pairwise([*starts, len(words)])]
