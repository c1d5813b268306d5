"""What was found, as values of text.md.j2."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from bench.report.formats import markdown
from bench.report.prose import render
from bench.report.tables import DOUBTED
from bench.results.correlation import ENOUGH, LEAST, Correlation
from bench.results.describe import circumstances, no_order
from bench.results.rows import Row
from bench.studies.command import command_of
from bench.studies.explain.compare import FAMILIES, ExplanationFindings, JudgedExplanation
from bench.studies.verdict import WEAK, Outcome, all_of, verdict

HEADER = "explanation", "ρ", "without one method", "given the size", "n", "points", "left out", "verdict"


def text(rows: Sequence[Row], found: ExplanationFindings) -> str:
    """Markdown."""
    by_mi = [own for own in found.judged.values() if own.explanation.kind == "MI"]
    return render(
        __name__,
        found=found,
        least=LEAST,
        enough=ENOUGH,
        weak=WEAK,
        families=[f"{own} counts as {whose}" for own, whose in FAMILIES.items()],
        command=command_of("explain", rows),
        circumstances=circumstances(rows) if rows else "",
        controls=sorted({p.method for p in found.points if p.control}),
        absent=sorted(
            p.name + (f"{DOUBTED} ({p.doubt})" if p.doubt else "") for p in found.points if p.gap is None
        ),
        table=markdown(pd.DataFrame(map(_line, found.judged.values()), columns=HEADER)),
        left_out=[*_left_out(found)],
        by_verdict=[*_by_verdict(by_mi, found.n)],
        against_rivals=[_against_rivals(own, found) for own in by_mi[:1]],
        labels={e.name: e.label for e in found.explanations},
        stronger=[*_as_strong(found)],
        two=max((p.poisons for p in found.contestants), default=0) == 2,
        no_order=no_order((p.method, p.poisons) for p in found.contestants),
    )


def _as_strong(found: ExplanationFindings) -> Iterator[dict[str, Any]]:
    """For each MI gap: which simpler figures order the methods as well as it does, over the same methods."""
    for own in found.judged.values():
        if own.explanation.kind != "MI" or own.association.rho is None:
            continue
        simpler = {n: rho for n, rho in own.rivals.items() if found.judged[n].explanation.kind != "proxy"}
        known = {name: abs(rho.rho) for name, rho in simpler.items() if rho.rho is not None}
        ahead = sorted((n for n in known if known[n] >= abs(own.association.rho)), key=lambda n: -known[n])
        yield {
            "label": own.explanation.label,
            "association": own.association,
            "verdict": own.verdict.value,
            "rivals": len(known),
            "ahead": [f"{found.judged[n].explanation.label} ({known[n]:.2f})" for n in ahead],
        }


def _line(judged: JudgedExplanation) -> tuple[str, ...]:
    found, label = judged.association, judged.explanation.label
    beside = judged.beside_strength or Correlation(found.n, found.points)
    without = "-" if found.least is None else f"{found.least:.2f} to {found.most:.2f}"
    counts = (str(found.n), str(found.points), str(judged.left_out))
    return label, found.numbers, without, beside.numbers, *counts, judged.verdict.value


def _left_out(found: ExplanationFindings) -> Iterator[dict[str, Any]]:
    """Why points have no figure, the commonest reason first, or an explanation has no correlation."""
    for name, own in found.judged.items():
        ours = found.contestants
        reasons = Counter(p.reasons[name] for p in ours if name in p.reasons).most_common()
        if reasons or own.association.rho is None:
            bounds = [(p, p.ends[name]) for p in ours if name in p.ends and name not in p.figures]
            sides = {
                side: [f"{p.name} {ends[i]:.2f}" for p, ends in bounds if ends[i] is not None]
                for i, side in enumerate(("least", "most"))
            }
            said = [reason for reason, _ in reasons]
            yield {"name": name, "points": own.left_out, "reasons": said, **sides}


def _by_verdict(judged: Sequence[JudgedExplanation], n: int) -> Iterator[str]:
    """Each estimator, with its number of methods where that is another one."""
    for outcome in Outcome:
        names = [
            own.explanation.name
            + (f" ({own.association.rho:.2f})" if outcome is Outcome.DESCRIPTIVE else "")
            + ("" if own.association.n == n else f" (n = {own.association.n})")
            for own in judged
            if own.verdict is outcome
        ]
        if names:
            yield f"{outcome} with {', '.join(names)}"


def _against_rivals(own: JudgedExplanation, found: ExplanationFindings) -> dict[str, Any]:
    """Whether the explanation says more than each other kind does."""
    name, rho = own.explanation.name, own.association.rho
    said: dict[str, Any] = {"name": name, "association": own.association}
    if rho is None:
        return said
    stories = {  # a proxy tells the same story as MI
        rival: beside
        for rival, beside in own.rivals.items()
        if found.judged[rival].explanation.kind != "proxy"
    }
    unknown = [rival for rival, beside in stories.items() if not beside.points]
    sizes = {rival: beside.rho for rival, beside in stories.items() if beside.rho is not None}
    outcomes = {rival: verdict(own.given[rival], own.explanation.expected) for rival in sizes}
    as_strong = [f"{rival} ({size:.2f})" for rival, size in sizes.items() if abs(size) >= abs(rho)]
    open_ended = unknown or as_strong or not sizes
    held, failed, descriptive, open_ = ([r for r in outcomes if outcomes[r] is each] for each in Outcome)
    return said | {
        "verdict": all_of([*outcomes.values(), Outcome.OPEN if open_ended else Outcome.HELD]),
        "as_strong": as_strong,
        "held": held,
        "failed": failed,
        "open": open_,
        "descriptive": [f"{rival} {own.given[rival].rho:.2f}" for rival in descriptive],
        "unknown": unknown,
    }
