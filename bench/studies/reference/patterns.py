"""Statements on what restores what, and whether the shares given back bear them out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.studies.reference.restored import PatternVerdict, RestoredShare

OPPOSITE = {PatternVerdict.HOLDS: PatternVerdict.BROKEN, PatternVerdict.BROKEN: PatternVerdict.HOLDS}
WEAKEST = (PatternVerdict.BROKEN, *reversed(PatternVerdict))  # the last of an enumeration says least


@dataclass(frozen=True)
class Pattern:
    """A statement on one cell that can turn out false."""

    method: str
    defense: str
    restored: bool

    def __str__(self) -> str:
        return f"{self.defense} {'restores' if self.restored else 'does not restore'} {self.method}"


@dataclass(frozen=True)
class JudgedPattern:
    """A pattern and what became of it; the numbers are its share's."""

    pattern: Pattern
    verdict: PatternVerdict
    share: float | None
    low: float | None
    high: float | None
    single: str


SMALL = (Pattern("mi-ue", "at-4", restored=False), Pattern("mi-ue", "at-2", restored=False))
EFFECT = "mi-ue keeps most of its effect under adversarial training with a small radius"  # where all hold
PATTERNS = (
    Pattern("em", "iss-gray", restored=True),
    Pattern("tap", "iss-gray", restored=False),
    Pattern("em", "iss-jpeg10", restored=True),
    Pattern("tap", "iss-jpeg10", restored=True),
    Pattern("em", "at-8", restored=True),
    *SMALL,
)


def judged(shares: Iterable[RestoredShare]) -> list[JudgedPattern]:
    """One verdict for each pattern, in their order."""
    found, verdicts = {(share.method, share.defense): share for share in shares}, []
    for p in PATTERNS:
        share = found.get((p.method, p.defense)) or RestoredShare(p.method, p.defense, PatternVerdict.NOT_RUN)
        verdict = share.restored if p.restored else OPPOSITE.get(share.restored, share.restored)
        verdicts.append(JudgedPattern(p, verdict, share.value, share.low, share.high, share.single))
    return verdicts


def together(patterns: Sequence[Pattern], all_judged: Iterable[JudgedPattern]) -> PatternVerdict:
    """Of a statement that holds where all of these patterns do."""
    verdicts = {own.verdict for own in all_judged if own.pattern in patterns}
    return next(verdict for verdict in WEAKEST if verdict in verdicts)
