"""The command that computes a cell again, without a path of the machine that asked for it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import PurePath
from typing import Protocol

PLACE = "DIR"  # stands for a folder that everybody keeps somewhere else


class Asked(Protocol):
    """A plugin, as far as a command names it."""

    @property
    def name(self) -> str: ...  # in rows, and before a field

    @property
    def asked(self) -> str: ...  # on the command line


@dataclass(frozen=True)
class Command:
    """What moves the numbers of a run, as it was asked for."""

    options: tuple[str, ...]  # such as --profile quick --eps 4/255
    sets: tuple[tuple[str, str], ...]  # whose field (empty: the setting's), FIELD=VALUE

    def of(self, method: Asked, defense: Asked) -> str:
        """For one cell: fields of other plugins would be refused where these are not asked for."""
        chosen = ["--methods", portable(method.asked), "--defenses", defense.asked]
        ours = [item for owner, item in self.sets if owner in ("", method.name, defense.name)]
        sets = [part for item in ours for part in ("--set", item)]
        return shlex.join(["python", "-m", "bench", "run", *chosen, *self.options, *sets])


def portable(source: str) -> str:
    """A source without its folder: parquet:/a/b/cifar10 becomes parquet:DIR/cifar10."""
    kind, colon, place = source.partition(":")
    return f"{kind}:{PLACE}/{PurePath(place).name}".rstrip("/") if colon else source
