"""--json: one JSON document on stdout in the place of tables for people; numbers in the units of rows.

Shares are in [0,1], MI in nats, null where there is no number. Errors stay on stderr, exit codes the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bench.cli.options import Options

if TYPE_CHECKING:
    from rich.console import Console

    from bench.report.tables import Table
    from bench.results.regression import Comparison


def add(to: Options) -> None:
    """Add the option."""
    to.add_argument("--json", action="store_true", help="print one JSON document in the place of tables")


def console(asked: bool) -> Console:
    """Give where people are told something: nowhere, where JSON was asked for."""
    from rich.console import Console

    return Console(quiet=asked)


def show(document: Any) -> None:
    """Print what msgspec can write: dataclasses, enumerations, tuples, dictionaries with texts as keys."""
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(document, enc_hook=str), indent=1).decode())


def tables(found: Sequence[Table]) -> dict[str, Any]:
    """Gather the cells of tables as in their CSV files, with what stands around them."""
    return {
        "tables": [
            {
                "measure": own.measure,
                "setting": own.setting,
                "threat": own.threat and str(own.threat),
                "caption": own.caption,
                "cells": [asdict(cell) for cell in own.cells.values()],
                "early": [asdict(cell) for cell in own.early.values()],
                "notes": own.notes(),
            }
            for own in found
        ]
    }


def comparison(found: Comparison) -> dict[str, Any]:
    """Gather the lines of the regression gate, with what follows from them."""
    lines = [asdict(line) | {"difference": line.difference} for line in found.lines]
    return {"passed": found.passed, "lines": lines, "notes": found.notes}
