"""Points -> how each explanation goes with the accuracy gap, alone, beside each rival, and within methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.results.correlation import Correlation, correlation
from bench.results.select import bare
from bench.studies.explain.points import GAP, MethodPoint
from bench.studies.records import Explanation
from bench.studies.verdict import Outcome, all_of, verdict

FAMILIES = {"mi-ue-cos": "mi-ue"}  # method -> whose variant it is; every other method is its own family


@dataclass(frozen=True)
class JudgedExplanation:
    """An explanation against the accuracy gap."""

    explanation: Explanation
    association: Correlation
    left_out: int  # points without a figure, or with a bound only
    given: Mapping[str, Correlation]  # the same beside each explanation of another kind, by its name
    rivals: Mapping[str, Correlation]  # those with the gap, over the points that have both figures
    beside_strength: Correlation | None  # given the size of delta; None: it is that size

    @property
    def verdict(self) -> Outcome:
        """A larger perturbation moves every figure, so it must be so given its size as well."""
        sign, beside = self.explanation.expected, self.beside_strength
        alone = verdict(self.association, sign)
        if beside is None or (not sign and alone is not Outcome.HELD):
            return alone
        same = sign or (1 if (self.association.rho or 0) > 0 else -1)  # either side, but the same twice
        return all_of((alone, verdict(beside, same)))


@dataclass(frozen=True)
class Direction:
    """Whether one explanation's figure rises with another's."""

    cause: str
    effect: str
    over_all: Correlation  # over methods and budgets
    beside_strength: Correlation  # the same, given the size of delta
    within: Mapping[str, Correlation]  # over the strengths of each method

    @property
    def verdict(self) -> Outcome:
        """A larger perturbation moves every figure, so it must be so given its size as well."""
        return all_of((verdict(self.over_all, 1), verdict(self.beside_strength, 1)))


@dataclass(frozen=True)
class ExplanationFindings:
    """All that was found."""

    points: list[MethodPoint]  # controls as well
    contestants: list[MethodPoint]  # that correlations are over: no controls, and with an accuracy gap
    explanations: tuple[Explanation, ...]
    judged: dict[str, JudgedExplanation]  # by explanation, in their order
    directions: list[Direction]

    @property
    def n(self) -> int:
        return len({family(point) for point in self.contestants})


def compare(
    points: Sequence[MethodPoint], explanations: Sequence[Explanation], theory: Sequence[tuple[str, str]]
) -> ExplanationFindings:
    """theory: pairs of explanations of which the second is said to rise with the first."""
    ours = [point for point in points if not point.control and point.gap is not None]
    strength = next(e.name for e in explanations if e.kind == "strength")
    judged = {e.name: _judge(ours, e, explanations, strength) for e in explanations}
    directions = [_direction(ours, cause, effect, strength) for cause, effect in theory]
    return ExplanationFindings([*points], ours, tuple(explanations), judged, directions)


def family(point: MethodPoint) -> str:
    plain = bare(point.method)
    return FAMILIES.get(plain, plain)


def _judge(
    ours: Sequence[MethodPoint], explanation: Explanation, others: Sequence[Explanation], strength: str
) -> JudgedExplanation:
    name, rivals = explanation.name, [other.name for other in others if other.kind != explanation.kind]
    there = [point for point in ours if name in point.figures]
    given = {rival: _correlate(there, name, GAP, rival) for rival in rivals}
    return JudgedExplanation(
        explanation=explanation,
        association=_correlate(there, name, GAP),
        left_out=len(ours) - len(there),
        given=given,
        rivals={rival: _correlate(there, rival, GAP) for rival in rivals},
        beside_strength=given.get(strength),
    )


def _direction(ours: Sequence[MethodPoint], cause: str, effect: str, strength: str) -> Direction:
    there = [p for p in ours if {cause, effect, strength} <= p.figures.keys()]
    whole, beside = (_correlate(there, cause, effect, *given) for given in ((), (strength,)))
    within = {
        method: _correlate([p for p in there if p.method == method], cause, effect, families=False)
        for method in dict.fromkeys(point.method for point in there)
    }
    return Direction(cause, effect, whole, beside, {m: a for m, a in within.items() if a.rho is not None})


def _correlate(points: Sequence[MethodPoint], *names: str, families: bool = True) -> Correlation:
    """Correlate two coordinates, given a third if it is named, over the points that have all of them."""
    there = [p for p in points if {*names} <= p.coordinates.keys()]
    x, y, *given = ([p.coordinates[name] for p in there] for name in names)
    whose = [family(p) if families else f"{i}" for i, p in enumerate(there)]
    return correlation([*zip(x, y, strict=True)], whose, *given)
