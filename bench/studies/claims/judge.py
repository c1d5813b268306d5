"""Published numbers and our rows -> a verdict for each number.

A number of the same setting is reproduced or not. One of a reduced setting is judged by its order alone: it
is compared with the source's other numbers of that data set, net and metric whose cells have rows in the
same setting of ours. Two numbers closer than a margin have no order. Of those that have one, our intervals
decide the pairs whose intervals lie apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bench.results.aggregate import Mean
from bench.results.rows import Row
from bench.results.select import CLEAN
from bench.studies.claims.claim import FOREIGN, Claim
from bench.studies.claims.nearness import ORDER, Nearness, Setting, nearness, same_data
from bench.studies.claims.ours import SettingRows, settings_of

TOLERANCE = 3.0  # points that a number of the same setting may be off
ERRORS = 2.0  # standard errors that it may be off, if they are more and ours was repeated
MARGIN = {"test_acc": 3.0, "mi": 0.01, "mi_gap": 0.01}  # metric -> published differences below it are ties
OVERALL = "spearman"  # the metric that is of all methods, and no cell's


class Verdict(StrEnum):
    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    HOLDS = "order holds"
    BROKEN = "order broken"
    UNDECIDED = "undecided"
    INCOMPARABLE = "not comparable"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Beside:
    """Another claim that a claim was compared with, and our number for it in the same setting of ours."""

    claim: Claim
    ours: Mean


@dataclass(frozen=True)
class Judged:
    """A claim with what it was judged by."""

    claim: Claim
    verdict: Verdict
    near: Nearness | None = None  # None: no rows of its data set, method and defense, or none to compare
    ours: Mean | None = None
    setting: str | None = None  # of our rows
    control: bool = False  # whether the method is no contestant
    agree: tuple[Beside, ...] = ()  # whose order with it our intervals confirm
    against: tuple[Beside, ...] = ()  # whose order they turn round
    open: tuple[Beside, ...] = ()  # whose order they cannot decide


@dataclass(frozen=True)
class Candidate:
    """Our rows for a claim in one setting."""

    claim: Claim
    among: SettingRows
    near: Nearness
    ours: Mean
    control: bool


def judge(claims: Sequence[Claim], rows: Sequence[Row]) -> list[Judged]:
    """One verdict for each claim, in their order, whatever order the rows come in."""
    everything = settings_of(rows)
    found = {claim.id: candidates(claim, everything) for claim in claims}
    chosen = {claim.id: choose(claim, claims, found) for claim in claims}
    judged = [_judged(claim, chosen[claim.id], claims, found) for claim in claims]
    return [
        Judged(own.claim, Verdict.INCOMPARABLE)
        if own.verdict is Verdict.NOT_RUN and any(among.incomparable(own.claim) for among in everything)
        else own
        for own in judged
    ]


# Which of our settings


def candidates(claim: Claim, everything: Iterable[SettingRows]) -> dict[str, Candidate]:
    """Map settings to ours, where there are rows of the claim's data set, method and defense."""
    known = [own for among in everything if (own := candidate(claim, among)) is not None]
    return {own.among.id: own for own in known}


def candidate(claim: Claim, among: SettingRows) -> Candidate | None:
    if claim.metric == OVERALL:
        rows = [row for row in among.rows if same_data(claim, row) and not row.control]
        ours = among.correlation(claim)
    else:
        pair = among.pair(claim)
        rows = among.groups[pair] if pair else []
        ours = among.mean(pair, claim.metric) if pair else None
    if not rows or ours is None:
        return None
    return Candidate(claim, among, nearness(claim, rows[0]), ours, rows[0].control)


def choose(claim: Claim, claims: Iterable[Claim], found: dict[str, dict[str, Candidate]]) -> Candidate | None:
    """Of the nearest setting; of several the one that differs least, then has most of the group's cells.

    Then the one with most repetitions, then rows.
    """
    group = [other.id for other in claims if other.group == claim.group]

    def worth(own: Candidate) -> tuple[int, int, int, int, int, str]:
        setting = own.among.id
        beside = [other[setting] for name in group if setting in (other := found[name])]
        comparable = sum(other.near.setting is not Setting.OTHER for other in beside)
        near = -ORDER.index(own.near.setting), -len(own.near.differs)
        return *near, comparable, own.ours.n, len(own.among.rows), setting

    return max(found[claim.id].values(), key=worth, default=None)


# The verdict


def _judged(
    claim: Claim,
    own: Candidate | None,
    claims: Sequence[Claim],
    found: dict[str, dict[str, Candidate]],
) -> Judged:
    if own is None:
        return Judged(claim, Verdict.NOT_RUN)
    if own.near.setting is Setting.OTHER:
        return Judged(claim, Verdict.NOT_RUN, own.near)
    judged = Judged(claim, Verdict.UNDECIDED, own.near, own.ours, own.among.id, own.control)
    if claim.metric == OVERALL:
        return replace(judged, verdict=sign(claim.value, own.ours))
    others = [other for other in claims if other.group == claim.group and other.id != claim.id]
    beside = [there for other in others if (there := found[other.id].get(own.among.id))]
    judged = _ordered(judged, own, [other for other in beside if other.near.setting is not Setting.OTHER])
    if own.near.setting is Setting.SAME:
        return replace(judged, verdict=reproduced(claim, own.ours))
    return replace(judged, verdict=order(judged))


def reproduced(claim: Claim, ours: Mean) -> Verdict:
    error = 0.0 if ours.error is None or ours.borrowed else ours.error  # one repetition widens nothing
    allowed = max(TOLERANCE, ERRORS * error)
    close = abs(ours.mean - claim.value) <= allowed
    return Verdict.REPRODUCED if close else Verdict.NOT_REPRODUCED


def order(judged: Judged) -> Verdict:
    """Broken where a decided pair disagrees; holds where all agree; undecided where none is decided."""
    if judged.against:
        return Verdict.BROKEN
    return Verdict.HOLDS if judged.agree else Verdict.UNDECIDED


def sign(published: float, ours: Mean) -> Verdict:
    """Of a correlation: whether ours lies on the published one's side of 0."""
    if ours.low is None or ours.high is None or ours.low <= 0 <= ours.high:
        return Verdict.UNDECIDED
    return Verdict.HOLDS if (ours.low > 0) == (published > 0) else Verdict.BROKEN


def _ordered(judged: Judged, own: Candidate, others: Iterable[Candidate]) -> Judged:
    """With its pairs, each where it belongs; ties have no order and belong nowhere."""
    pairs: dict[int | None, list[Beside]] = {1: [], -1: [], None: []}
    for other in others:
        published = own.claim.value - other.claim.value
        if abs(published) < MARGIN[own.claim.metric]:
            continue
        side = apart(own.ours, other.ours)
        agrees = None if side is None else side * (1 if published > 0 else -1)
        pairs[agrees].append(Beside(other.claim, other.ours))
    return replace(judged, agree=tuple(pairs[1]), against=tuple(pairs[-1]), open=tuple(pairs[None]))


def apart(one: Mean, other: Mean) -> int | None:
    """1 where the interval of one lies above the other's, -1 where below; None where they meet or lack."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return None
    if one.low > other.high:
        return 1
    return -1 if one.high < other.low else None


def why_not(judged: Judged) -> str:
    """Why there is nothing of ours beside a claim."""
    if judged.verdict is Verdict.INCOMPARABLE:
        return f"features of other dimensions than {CLEAN}'s, which alone moves MI"
    if judged.near is not None:
        return f"of another setting only: {', '.join(judged.near.decisive)}"
    for kind, names in FOREIGN.items():
        name = getattr(judged.claim, kind[:-1])
        if name in names:
            return f"the suite has no {kind[:-1]} {name}"
    return "no rows"
