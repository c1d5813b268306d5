"""Which of two sides is better, by how much, how sure: two methods of one run, or one method in two runs.

The unit is the poison, of clean the victim. Poisons of two runs, or of two variants that publish one delta,
may be crafted from the same seeds: then differences are taken pair by pair. Poisons of two methods share no
seed, and Welch's test compares them. Victims of one seed stand beside each other.
Several comparisons are corrected by Holm: the chance that one order too many is stated stays 5 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from bench.core.errors import BadInput
from bench.results.aggregate import LEVEL, Pair, mean_of
from bench.results.columns import PLUGINS
from bench.results.identity import shared
from bench.results.replicates import ROUNDING, doubt_of, of_victims, units_of
from bench.results.rows import Row
from bench.results.select import (
    CLEAN,
    UNDEFENDED,
    Groups,
    chosen,
    differing,
    grouped,
    in_order,
    leaves,
    measured,
)

EXPECTED = "expected one threat model, or --mix-threats: a larger budget alone costs more accuracy"
METRICS = {  # column of a row -> what it is, its scale, unit and digits
    "test_acc": ("accuracy", 100, "points", 1),
    "balanced_acc": ("balanced accuracy", 100, "points", 1),
    "val_selected_acc": ("validation-selected accuracy", 100, "points", 1),
    "peak_acc": ("peak accuracy", 100, "points", 1),
    "robust_acc": ("robust accuracy", 100, "points", 1),
    "mi": ("MI", 1, "nats", 3),
    "mi_gap": ("MI gap", 1, "nats", 3),
}


@dataclass(frozen=True)
class Difference:
    """Two sides under one defense, in the metric's unit; None: not known."""

    method: str  # of both sides; empty where they are two methods
    defense: str
    one: float | None  # mean over units
    other: float | None
    units: tuple[int, int] = (0, 0)
    difference: float | None = None  # one minus other; of pairs where there are some
    low: float | None = None  # of its 95 % interval, of this comparison alone
    high: float | None = None
    p: float | None = None  # that chance alone makes it as large
    corrected: float | None = None  # the same by Holm, over all comparisons
    paired: bool = False
    doubt: str = ""  # why there is no verdict, whatever the numbers

    @property
    def ordered(self) -> bool:
        """Whether one side is lower, beyond chance."""
        return not self.doubt and self.corrected is not None and self.corrected < 1 - LEVEL


# Which rows stand beside each other


def of_methods(
    rows: Sequence[Row],
    one: str,
    other: str,
    defenses: Sequence[str] | None,
    metric: str,
    *,
    mix: bool = False,
) -> list[Difference]:
    """Compare two methods of one setting under each defense that both have, or under the named ones.

    Raises BadInput where they are of two threat models, unless mix says that this is meant.
    """
    groups = grouped(rows)
    methods = chosen("method", (one, other), in_order((method for method, _ in groups), None, CLEAN))
    if len(methods) < 2:
        raise BadInput(f"{one} is given twice, expected two methods")
    one, other = methods
    if (two := threats_apart(*([row for row in rows if row.method == name] for name in methods))) and not mix:
        raise BadInput(f"{one} is of {two[0]}, {other} of {two[1]}, {EXPECTED}")
    both = [defense for method, defense in groups if method == one and (other, defense) in groups]
    return _holm(
        [
            _difference((groups, groups), ((one, defense), (other, defense)), metric, "")
            for defense in chosen("defense", defenses, in_order(both, None, UNDEFENDED))
        ]
    )


def of_runs(
    rows: Sequence[Row],
    others: Sequence[Row],
    defenses: Sequence[str] | None,
    metric: str,
    *,
    mix: bool = False,
) -> list[Difference]:
    """Compare two runs, each of one setting, in the cells that both have.

    Raises BadInput where data differs, and where a method is of two threat models, unless mix.
    """
    digests = [own[0].inputs["data"]["digest"] for own in (rows, others)]
    if digests[0] != digests[1]:
        names = [f"{own[0].data} ({digest[:8]})" for own, digest in zip((rows, others), digests, strict=True)]
        raise BadInput(f"the runs are of other images, {names[0]} and {names[1]}, expected the same")
    sides = grouped(rows), grouped(others)
    pairs = [pair for pair in sides[0] if pair in sides[1]]
    names = chosen("defense", defenses, in_order((d for _, d in pairs), None, UNDEFENDED))
    methods = in_order((method for method, _ in pairs), None, CLEAN)
    for name in () if mix else methods:
        if two := threats_apart(*([row for row in own if row.method == name] for own in (rows, others))):
            raise BadInput(f"{name} is of {two[0]} in one run and of {two[1]} in the other, {EXPECTED}")
    cells = [(m, d) for m in methods for d in names if (m, d) in pairs]
    if not cells:
        raise BadInput("the runs have no cell in common, expected some method under some defense in both")
    return _holm([_difference(sides, (cell, cell), metric, cell[0]) for cell in cells])


def threats_apart(one: Sequence[Row], other: Sequence[Row]) -> tuple[str, str] | None:
    """Name two sides' threat models where they are not the same; clean is of every one."""
    sides = ({str(row.threat) for row in own if row.threat.radius > 0} for own in (one, other))
    first, second = (" and ".join(sorted(side)) for side in sides)
    return (first, second) if first and second and first != second else None


def differs(rows: Sequence[Row], others: Sequence[Row]) -> list[str]:
    """Name what two settings, and the plugins that both have, differ in: victim.epochs 30, 60."""
    plugins = [
        {getattr(row, kind): row.inputs[kind] for row in own for kind in PLUGINS} for own in (rows, others)
    ]
    both = plugins[0].keys() & plugins[1].keys()
    sides = {
        index: leaves(shared(own[0].inputs) | {name: plugins[index][name] for name in both})
        for index, own in enumerate((rows, others))
    }
    return [f"{name} {', '.join(values)}" for name, values in differing(sides).items()]


# Numbers


def _difference(
    sides: tuple[Groups, Groups], pairs: tuple[Pair, Pair], metric: str, method: str
) -> Difference:
    one, other = (measured(groups.get(pair, ()), metric) for groups, pair in zip(sides, pairs, strict=True))
    defense, doubts = pairs[0][1], []
    for (name, _), groups, own in zip(pairs, sides, (one, other), strict=True):
        if not own:
            doubts.append(f"{name} has no number")
        elif why := doubt_of(own, groups.get((CLEAN, defense), ())):
            doubts.append(why if why.startswith(CLEAN) else f"{name} {why}")
    if metric == "mi" and any(row.mi_ceiling is None for row in (*one, *other)):
        doubts.append("MI without a ceiling is on a scale of its own in each net")
    means = [mean_of(units_of(own, metric)) for own in (one, other)]
    found = Difference(method, defense, means[0], means[1], doubt="; ".join(dict.fromkeys(doubts)))
    return between(found, one, other, metric) if one and other else found


def between(found: Difference, one: Sequence[Row], other: Sequence[Row], metric: str) -> Difference:
    """Add the difference of two sides' rows, with its interval and how likely chance makes it."""
    from scipy.stats import ttest_1samp, ttest_ind

    if not (of_victims(one[0]) or of_victims(other[0])):
        one, other = alike(one, other)
    units, pairs = [units_of(own, metric) for own in (one, other)], paired(one, other, metric)
    if len(pairs) > 1:
        found = replace(found, difference=fmean(pairs), units=(len(pairs), len(pairs)), paired=True)
    else:
        sizes = len(units[0]), len(units[1])
        found = replace(found, difference=fmean(units[0]) - fmean(units[1]), units=sizes)
    spread = [pairs] if found.paired else units
    if min(found.units) < 2 or all(max(own) - min(own) < ROUNDING for own in spread):
        return found  # nothing says what another poison would change
    test = ttest_1samp(pairs, 0) if found.paired else ttest_ind(*units, equal_var=False)
    interval = test.confidence_interval(LEVEL)
    return replace(found, low=float(interval.low), high=float(interval.high), p=float(test.pvalue))


def alike(one: Sequence[Row], other: Sequence[Row]) -> list[list[Row]]:
    """Leave out victims whose seed the other side's poison of the same number lacks."""
    seeds = [{(row.poison_rep, row.rep) for row in own} for own in (one, other)]
    common = {poison for poison, _ in seeds[0] & seeds[1]}
    return [
        [r for r in own if r.poison_rep not in common or (r.poison_rep, r.rep) in seeds[0] & seeds[1]]
        for own in (one, other)
    ]


def paired(one: Sequence[Row], other: Sequence[Row], metric: str) -> list[float]:
    """Return one minus other for each unit that both have, over the victims' seeds that both have.

    Nothing where the units of one side alone are victims, as of clean, where the seeds begin from other
    numbers, and where poisons were crafted as two methods.
    """
    victims = of_victims(one[0])
    if victims != of_victims(other[0]) or one[0].inputs["seed"] != other[0].inputs["seed"]:
        return []
    if not victims and len({row.inputs["method"]["crafted_as"] for row in (*one, *other)}) > 1:
        return []
    values = [{(row.poison_rep, row.rep): getattr(row, metric) for row in own} for own in (one, other)]
    gaps: dict[int, list[float]] = {}
    for seeds in sorted(values[0].keys() & values[1].keys()):
        gaps.setdefault(seeds[victims], []).append(values[0][seeds] - values[1][seeds])
    return [fmean(own) for own in gaps.values()]


def _holm(found: Sequence[Difference]) -> list[Difference]:
    """Correct by Holm those that may have a verdict."""
    tested = sorted((d for d in found if d.p is not None and not d.doubt), key=lambda d: d.p or 0.0)
    least, corrected = 0.0, {}
    for place, own in enumerate(tested):
        least = min(1.0, max(least, (len(tested) - place) * (own.p or 0.0)))
        corrected[own.method, own.defense] = least
    return [replace(d, corrected=corrected.get((d.method, d.defense))) for d in found]
