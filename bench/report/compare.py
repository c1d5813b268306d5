"""A comparison -> plain sentences, and a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bench.report.formats import plain
from bench.results.compare import METRICS, Difference
from bench.results.describe import no_order
from bench.results.select import CLEAN, bare

Sides = tuple[str, str]  # what the two are called


def sentence(found: Difference, sides: Sides, metric: str, among: int = 1) -> str:
    """Say which side is lower, by how much and how sure. among: how many comparisons were made."""
    what, scale, unit, digits = METRICS[metric]
    one, other = sides
    of = f"{found.method} under {found.defense}" if found.method else ""
    if found.doubt or found.difference is None:
        return (
            f"{of or f'{one} and {other}'} {'has' if of else 'have'} no order{_under(found)}: {found.doubt}."
        )
    size = f"{scale * abs(found.difference):.{digits}f} {unit}"
    if found.ordered:
        low, high = sides if found.difference < 0 else (other, one)
        said = (
            f"{of}: {what} is lower in {low} than in {high}"
            if of
            else f"{low} lowers {what} more than {high}{_under(found)}"
        )
        return f"{said} by {size} ({interval(found, metric, found.difference < 0)}, {counted(found, sides)})."
    said = (
        f"{of}: {one} and {other} have no order" if of else f"{one} and {other} have no order{_under(found)}"
    )
    if found.low is None or found.high is None:
        few = no_order(dict(zip(sides, found.units, strict=True))) or "all poisons gave the same number"
        return f"{said}: they differ by {size}; {few}, and nothing is known of how sure that is."
    alone = found.low > 0 or found.high < 0
    chance = f", which may be chance among {among} comparisons" if alone else ""
    return f"{said}: they differ by {size} ({interval(found, metric)}, {counted(found, sides)}){chance}."


def _under(found: Difference) -> str:
    return "" if found.method else f" under {found.defense}"


def interval(found: Difference, metric: str, turned: bool = False, said: str = "95 % interval ") -> str:
    """Write the interval of one minus other, or turned of other minus one."""
    _, scale, _, digits = METRICS[metric]
    ends = [end for end in (found.low, found.high) if end is not None]
    if not ends:
        return "-"
    low, high = sorted(scale * (-end if turned else end) for end in ends)
    return f"{said}{low:z.{digits}f} to {high:z.{digits}f}"


def counted(found: Difference, sides: Sides) -> str:
    """Say over how many poisons, of clean victims: 3 poisons each, paired by seed."""
    names = [bare(found.method or side) for side in sides]
    kinds = ["victims" if name == CLEAN else "poisons" for name in names]
    if kinds[0] != kinds[1]:
        parts = [
            f"{n} {kind}" + (f" of {CLEAN}" if kind == "victims" else "")
            for n, kind in zip(found.units, kinds, strict=True)
        ]
        return " and ".join(parts)
    one, other = found.units
    number = f"{one} {kinds[0]} each" if one == other else f"{one} and {other} {kinds[0]}"
    return number + (", paired by seed" if found.paired else "")


def table(found: Sequence[Difference], sides: Sides, metric: str) -> pd.DataFrame:
    """Write a line for each comparison; lower: the side whose number is lower beyond chance."""
    _, scale, _, digits = METRICS[metric]

    def number(value: float | None) -> str:
        return plain(None if value is None else f"{scale * value:z.{digits}f}")

    lines = []
    for own in found:
        lower = "-" if not own.ordered else sides[0] if (own.difference or 0.0) < 0 else sides[1]
        lines.append(
            {
                **({"method": own.method} if own.method else {}),
                "defense": own.defense,
                sides[0]: number(own.one),
                sides[1]: number(own.other),
                "difference": number(own.difference),
                "95 %": interval(own, metric, said=""),
                "p": "-" if own.corrected is None else f"{own.corrected:.3f}",
                "n": ", ".join(dict.fromkeys(map(str, own.units))),
                "lower": lower,
            }
        )
    return pd.DataFrame(lines)
