"""Published numbers and our rows -> a verdict for each number.

A number of the same setting is reproduced or not. One of a reduced setting is judged by its order alone: it
is compared with the source's other numbers of that data set, net and metric whose cells have rows in the
same setting and of the same threat model of ours. Two numbers closer than a margin have no order. Of those
that have one, our intervals over poisons decide the pairs whose intervals lie apart; with one poison a method
nothing is decided. A cell whose victim did not learn is not judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bench.core.threat import Threat
from bench.results.aggregate import Mean
from bench.results.rows import Row
from bench.studies.claims.claim import FOREIGN, Claim
from bench.studies.claims.nearness import ORDER, Nearness, SettingMatch, nearness, same_data
from bench.studies.claims.ours import SettingRows, settings_of

TOLERANCE = 3.0  # points that a number of the same setting may be off
ERRORS = 2.0  # standard errors that it may be off, if they are more and ours has several poisons
MARGIN = {"test_acc": 3.0, "mi": 0.01, "mi_gap": 0.01}  # metric -> published differences below it are ties
OVERALL = "spearman"  # the metric that is of all methods, and no cell's


class ClaimVerdict(StrEnum):
    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    HOLDS = "order holds"
    BROKEN = "order broken"
    UNDECIDED = "undecided"
    ONE_POISON = "undecided: one poison"
    DID_NOT_LEARN = "did not learn"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class OurNumber:
    """Our number for a claim in one setting of ours."""

    claim: Claim
    among: SettingRows
    near: Nearness
    ours: Mean
    control: bool  # whether the method is no contestant
    doubt: str | None  # why its accuracy is no verdict
    threat: Threat | None = None  # of the method; None: clean's, which is of every one, or of several methods
    again: str | None = None  # the command that computes it again; None where it is of several cells

    def beside(self, other: OurNumber) -> bool:
        """Whether both are of one threat model: else their order says nothing."""
        return self.threat is None or other.threat is None or str(self.threat) == str(other.threat)


@dataclass(frozen=True)
class JudgedClaim:
    """A claim with what it was judged by."""

    claim: Claim
    verdict: ClaimVerdict
    near: Nearness | None = None  # None: no rows of its data set, method and defense, or none to compare
    beside: OurNumber | None = None  # None: not judged
    agree: tuple[OurNumber, ...] = ()  # of claims whose order with it our intervals confirm
    against: tuple[OurNumber, ...] = ()  # whose order they turn round
    open: tuple[OurNumber, ...] = ()  # whose order they cannot decide

    @property
    def ours(self) -> Mean | None:
        return self.beside.ours if self.beside else None

    @property
    def setting(self) -> str | None:
        """Return the id of that of our rows."""
        return self.beside.among.id if self.beside else None


def judge(claims: Sequence[Claim], rows: Sequence[Row]) -> list[JudgedClaim]:
    """One verdict for each claim, in their order, whatever order the rows come in."""
    everything, judged = settings_of(rows), []
    found = {claim.id: candidates(claim, everything) for claim in claims}
    for claim in claims:
        own = choose(claim, claims, found)
        if own is not None and own.near.setting is not SettingMatch.OTHER:
            judged.append(_judged(own, claims, found))
        else:
            judged.append(JudgedClaim(claim, ClaimVerdict.NOT_RUN, own.near if own else None))
    return judged


# Which of our settings


def candidates(claim: Claim, everything: Iterable[SettingRows]) -> dict[str, OurNumber]:
    """Map settings to ours, where there are rows of the claim's data set, method and defense."""
    found = {}
    for among in everything:
        if claim.metric == OVERALL:
            rows, doubt = [row for row in among.rows if same_data(claim, row) and not row.control], None
            ours = among.correlation(claim)
        else:
            pair = among.pair(claim)
            rows = among.groups[pair] if pair else []
            ours, doubt = (among.mean(pair, claim.metric), among.doubt(pair)) if pair else (None, None)
        if rows and ours is not None:
            threat = rows[0].threat if claim.metric != OVERALL and rows[0].threat.radius else None
            near = nearness(claim, rows[0])
            again = max((row.rerun or "" for row in rows), key=len) if claim.metric != OVERALL else None
            found[among.id] = OurNumber(
                claim, among, near, ours, rows[0].control, doubt, threat, again or None
            )
    return found


def choose(claim: Claim, claims: Iterable[Claim], found: dict[str, dict[str, OurNumber]]) -> OurNumber | None:
    """Of the nearest setting; of several the one that differs least, then has most of the group's cells.

    Then the one with most repetitions, then rows.
    """
    group = [other.id for other in claims if other.group == claim.group]

    def worth(own: OurNumber) -> tuple[int, int, int, int, int, str]:
        setting = own.among.id
        beside = [other[setting] for name in group if setting in (other := found[name])]
        comparable = sum(other.near.setting is not SettingMatch.OTHER for other in beside)
        near = -ORDER.index(own.near.setting), -len(own.near.differs)
        return *near, comparable, own.ours.n, len(own.among.rows), setting

    return max(found[claim.id].values(), key=worth, default=None)


# The verdict


def _judged(own: OurNumber, claims: Sequence[Claim], found: dict[str, dict[str, OurNumber]]) -> JudgedClaim:
    """Judge a claim by ours; pairs that are ties have no order and belong nowhere."""
    claim = own.claim
    if own.doubt:
        return JudgedClaim(claim, ClaimVerdict.DID_NOT_LEARN, own.near, own)
    if claim.metric == OVERALL:
        return JudgedClaim(claim, sign(claim.value, own.ours), own.near, own)
    pairs: dict[int | None, list[OurNumber]] = {1: [], -1: [], None: []}
    for name in [other.id for other in claims if other.group == claim.group and other.id != claim.id]:
        other = found[name].get(own.among.id)
        if other is None or other.doubt or other.near.setting is SettingMatch.OTHER:
            continue
        if not own.beside(other):
            continue
        published = claim.value - other.claim.value
        if abs(published) >= MARGIN[claim.metric]:
            side = apart(own.ours, other.ours)
            pairs[side and (side if published > 0 else -side)].append(other)
    if own.near.setting is SettingMatch.SAME:
        verdict = reproduced(claim, own.ours)
    elif pairs[-1] or pairs[1]:
        verdict = ClaimVerdict.BROKEN if pairs[-1] else ClaimVerdict.HOLDS
    else:
        alone = own.ours.low is None or all(other.ours.low is None for other in pairs[None])
        verdict = ClaimVerdict.ONE_POISON if pairs[None] and alone else ClaimVerdict.UNDECIDED
    return JudgedClaim(claim, verdict, own.near, own, *(tuple(pairs[side]) for side in (1, -1, None)))


def reproduced(claim: Claim, ours: Mean) -> ClaimVerdict:
    allowed = max(TOLERANCE, ERRORS * (ours.error or 0.0))
    close = abs(ours.mean - claim.value) <= allowed
    return ClaimVerdict.REPRODUCED if close else ClaimVerdict.NOT_REPRODUCED


def sign(published: float, ours: Mean) -> ClaimVerdict:
    """Of a correlation: whether ours lies on the published one's side of 0."""
    if ours.low is None or ours.high is None or ours.low <= 0 <= ours.high:
        return ClaimVerdict.UNDECIDED
    return ClaimVerdict.HOLDS if (ours.low > 0) == (published > 0) else ClaimVerdict.BROKEN


def apart(one: Mean, other: Mean) -> int | None:
    """1 where the interval of one lies above the other's, -1 where below; None where they meet or lack."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return None
    if one.low > other.high:
        return 1
    return -1 if one.high < other.low else None


def why_not(judged: JudgedClaim) -> str:
    """Why there is nothing of ours beside a claim."""
    if judged.near is not None:
        return f"of another setting only: {', '.join(judged.near.decisive)}"
    for kind, names in FOREIGN.items():
        name = getattr(judged.claim, kind[:-1])
        if name in names:
            return f"the suite has no {kind[:-1]} {name}"
    return "no rows"
