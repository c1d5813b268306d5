"""The report card: verdicts by source, what our rows were computed under, and which cells break an order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bench.report.tables import DOUBTED
from bench.results.correlation import Correlation, correlation
from bench.results.describe import circumstances
from bench.results.rows import Row
from bench.studies.claims.claim import Claim
from bench.studies.claims.judge import OVERALL, ClaimVerdict, JudgedClaim, OurNumber, judge
from bench.studies.claims.ours import settings_of
from bench.studies.command import cell_command

DIGITS = {"test_acc": 1, "mi": 3, "mi_gap": 3, OVERALL: 2}  # of ours
UNITS = {
    "test_acc": "test accuracy, %",
    "mi": "MI, nats",
    "mi_gap": "MI gap to clean, nats",
    OVERALL: "rank correlation of MI gap and accuracy gap",
}
Break = tuple[OurNumber, OurNumber]  # the published order, from the higher; ours is the other way round


@dataclass(frozen=True)
class Board:
    """The claims of one source, data set, net and metric that our rows of one setting and threat model are
    beside."""

    title: str
    metric: str
    setting: str
    judged: list[JudgedClaim]

    @property
    def comparable(self) -> bool:
        """Whether there are cells to compare with each other."""
        return len(self.judged) > 1 and self.metric != OVERALL

    @property
    def correlation(self) -> Correlation:
        """Of the published and our numbers over cells whose victims learned."""
        learned = [own.beside for own in self.judged if own.beside and not own.beside.doubt]
        return correlation([(own.claim.value, own.ours.mean) for own in learned])

    @property
    def breaks(self) -> list[Break]:
        """Each pair once, the widest published difference first."""
        found: dict[frozenset[str], Break] = {}
        for own in self.judged:
            for other in own.against:
                assert own.beside is not None
                both = sorted((own.beside, other), key=lambda one: -one.claim.value)
                found.setdefault(frozenset((own.claim.id, other.claim.id)), (both[0], both[1]))
        return sorted(found.values(), key=lambda pair: pair[1].claim.value - pair[0].claim.value)

    @property
    def breakers(self) -> dict[str, int]:
        """Cell -> in how many of these pairs it is, from the most."""
        return dict(Counter(own.claim.cell for pair in self.breaks for own in pair).most_common())

    @property
    def differs(self) -> list[str]:
        """All that differs from the published circumstances of some cell.

        Where more than their strength does, that of methods and defenses is said as the profile's.
        """
        return list(dict.fromkeys(text for own in self.judged if own.near for text in own.near.differs))


@dataclass(frozen=True)
class Card:
    judged: list[JudgedClaim]
    circumstances: dict[str, str]  # setting -> what its rows share
    again: dict[str, str]  # setting -> the command of a line, but for what it has of its own
    notes: list[str]  # what names with @ stand for

    @property
    def boards(self) -> list[Board]:
        """In the order of the claims; of several threat models one each, with clean in all."""
        found: dict[tuple[str, str, str], list[JudgedClaim]] = {}
        for own in self.judged:
            if own.setting is not None:
                found.setdefault((title(own.claim), own.claim.metric, own.setting), []).append(own)
        return [board for key, judged in found.items() for board in _by_threat(*key, judged)]

    @property
    def summary(self) -> str:
        counted = Counter(own.verdict for own in self.judged)
        said = ", ".join(f"{counted[verdict]} {verdict}" for verdict in ClaimVerdict if counted[verdict])
        return f"{len(self.judged)} claims: {said}"


def _by_threat(title: str, metric: str, setting: str, judged: list[JudgedClaim]) -> list[Board]:
    models = {own: own.beside and own.beside.threat for own in judged}
    several = sorted({threat for threat in models.values() if threat}, key=lambda threat: threat.order)
    if len(several) < 2:
        return [Board(title, metric, setting, judged)]
    return [
        Board(f"{title}, {one}", metric, setting, [own for own in judged if models[own] in (None, one)])
        for one in several
    ]


def make(claims: Sequence[Claim], rows: Sequence[Row]) -> Card:
    judged = judge(claims, rows)
    used = {own.setting for own in judged}
    ours = [own for own in settings_of(rows) if own.id in used]
    about = {own.id: f"{circumstances(own.rows)}, setting {own.id[:8]}" for own in ours}
    again = {own.id: cell_command(own.rows) for own in ours}
    return Card(judged, about, again, [note for own in ours for note in own.notes])


def title(claim: Claim) -> str:
    source, data, net, metric = claim.group
    return f"{source}: {data}, {net}, {UNITS[metric]}"


# For people


def ours(own: OurNumber) -> str:
    """Write the mean with its interval, if it has one; marked where victims did not learn."""
    found, digits = own.ours, DIGITS[own.claim.metric]
    said = f"{found.mean:z.{digits}f}{DOUBTED if own.doubt else ''}"
    if found.low is None or found.high is None:
        return said
    return f"{said} [{found.low:z.{digits}f}, {found.high:z.{digits}f}]"


def pairs(judged: JudgedClaim) -> str:
    """How many pairs are decided and agree, disagree, or are open: 3+ 0- 2?; nothing where it has none."""
    total = len(judged.agree) + len(judged.against) + len(judged.open)
    return f"{len(judged.agree)}+ {len(judged.against)}- {len(judged.open)}?" if total else ""


def said(pair: Break) -> str:
    """em x none above tap x none: published 21.05 > 8.17, ours 24.3 [...] < 31.4 [...]."""
    high, low = pair
    return (
        f"{high.claim.cell} above {low.claim.cell}: published {high.claim.published} > "
        f"{low.claim.published}, ours {ours(high)} < {ours(low)}"
    )


# As lines of a CSV file

# column -> field of a mean
OURS = {"ours": "mean", "low": "low", "high": "high", "standard_error": "error", "n": "n"}


def record(judged: JudgedClaim) -> dict[str, object]:
    """Return the claim and what became of it; ids of other claims with spaces between."""
    own, near = judged.ours, judged.near
    found = {name: getattr(own, field, None) for name, field in OURS.items()}
    pairs = {"agree": judged.agree, "against": judged.against, "undecided": judged.open}
    return {
        **asdict(judged.claim),
        "setting": near and near.setting.value,
        "differs": near and "; ".join(near.differs),
        "verdict": judged.verdict.value,
        **found,
        **{name: " ".join(other.claim.id for other in others) for name, others in pairs.items()},
        "rows_setting": judged.setting,
        "again": judged.beside and judged.beside.again,
    }
