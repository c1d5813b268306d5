"""A comparison -> plain sentences, and a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bench.report.formats import plain
from bench.results.compare import METRICS, Difference
from bench.results.describe import no_order
from bench.results.select import CLEAN, bare

UNSURE = "nothing is known of how sure that is"
Sides = tuple[str, str]  # what the two are called


def sentences(found: Sequence[Difference], sides: Sides, metric: str) -> list[str]:
    """Say of each comparison which side is lower, by how much and how sure; once of all that are unsure."""
    unsure = [own for own in found if not own.doubt and own.low is None]
    said = [sentence(own, sides, metric, len(found)) for own in found if len(unsure) < 2 or own not in unsure]
    if len(unsure) < 2:
        return said
    _, scale, unit, digits = METRICS[metric]
    sizes = sorted(scale * abs(own.difference or 0.0) for own in unsure)
    size = f"{sizes[0]:.{digits}f} to {sizes[-1]:.{digits}f} {unit}"
    names = f"{len(unsure)} cells" if unsure[0].method else f"{len(unsure)} defenses"
    whys = "; ".join(dict.fromkeys(_why_unsure(own, sides) for own in unsure))
    return [f"{sides[0]} and {sides[1]} differ by {size} under {names}, and {UNSURE} ({whys}).", *said]


def sentence(found: Difference, sides: Sides, metric: str, among: int = 1) -> str:
    """Say which side is lower, by how much and how sure. among: how many comparisons were made."""
    what, scale, unit, digits = METRICS[metric]
    one, other = sides
    cell = f"{found.method} under {found.defense}: " if found.method else ""
    under = "" if cell else f" under {found.defense}"
    if found.doubt or found.difference is None:
        return f"{cell}{one} and {other} have no order{under}: {found.doubt}."
    size = f"{scale * abs(found.difference):.{digits}f} {unit}"
    if found.low is None or found.high is None:
        return f"{cell}{one} and {other} differ by {size}{under}, and {UNSURE} ({_why_unsure(found, sides)})."
    sure = counted(found, sides)
    if found.ordered:
        low, high = sides if found.difference < 0 else (other, one)
        verb = f"{what} is lower in {low} than in {high}" if cell else f"{low} lowers {what} more than {high}"
        return f"{cell}{verb}{under} by {size} ({interval(found, metric, found.difference < 0)}, {sure})."
    alone = found.low > 0 or found.high < 0
    chance = f", which may be chance among {among} comparisons" if alone else ""
    said = f"they differ by {size} ({interval(found, metric)}, {sure}){chance}"
    return f"{cell}{one} and {other} have no order{under}: {said}."


def _why_unsure(found: Difference, sides: Sides) -> str:
    return no_order(zip(sides, found.units, strict=True)) or "all poisons gave the same number"


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


def legend(found: Sequence[Difference], metric: str) -> str:
    """Say what the numbers of the table are."""
    what, _, unit, _ = METRICS[metric]
    said = (
        f"{what[:1].upper()}{what[1:]} in {'percent' if unit == 'points' else unit}, n units of replication"
    )
    if len(found) == 1:
        return f"{said}."
    return f"{said}; p is corrected by Holm for {len(found)} comparisons, the intervals are not."
