"""What was found, in words that follow from the numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from bench.captions import circumstances
from bench.correlation import ENOUGH, LEAST, Correlation
from bench.formats import markdown
from bench.rows import Row
from bench.studies.compare import FAMILIES, WEAK, Comparison, Direction, Judged, Verdict, all_of, verdict

LEAST_GAP = "The gap is at least, by the near ends of both intervals (method, budget, nats)"
MOST_GAP = "The gap is at most, by the far ends"

HEADER = (
    "explanation",
    "ρ",
    "without one method",
    "given the budget",
    "n",
    "points",
    "left out",
    "verdict",
)


def text(rows: Sequence[Row], found: Comparison) -> str:
    """Markdown."""
    if found.n < LEAST:
        return f"# Rival explanations\n\n{_too_few(found)}\n"
    parts = [
        "# Rival explanations",
        _what(rows, found),
        "## What goes with the accuracy gap",
        _table(found),
        _reading(found),
        _left_out(found),
        "## What becomes of MI-UE's claims here",
        *_lists(found),
        "## How sure",
        _how_sure(found),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _too_few(found: Comparison) -> str:
    return (
        f"Undecided: {found.n} methods besides controls have an accuracy gap, expected {LEAST} or more "
        f"for any correlation."
    )


def _what(rows: Sequence[Row], found: Comparison) -> str:
    ours = found.contestants
    controls = sorted({point.method for point in found.points if point.control})
    absent = sorted({f"{p.method} {p.strength}/255" for p in found.points if p.gap is None})
    budgets = sorted({(point.eps or 0, point.strength) for point in ours})
    counted = "; ".join(f"{own} counts as {whose}" for own, whose in FAMILIES.items())
    said = [
        f"{len(ours)} points: {found.n} methods ({counted}) at budgets of "
        f"{', '.join(text for _, text in budgets)} 255ths. {_circumstances(rows)}.",
        f"Controls ({', '.join(controls)}) are in the figures and in no correlation." if controls else "",
        f"No accuracy gap, so no point: {', '.join(absent)}." if absent else "",
    ]
    return " ".join(part for part in said if part)


def _circumstances(rows: Sequence[Row]) -> str:
    """Without the setting's id: each budget is a setting of its own."""
    return circumstances(rows).rpartition(", setting")[0]


def _table(found: Comparison) -> str:
    return markdown(pd.DataFrame(map(_line, found.judged.values()), columns=HEADER))


def _line(judged: Judged) -> tuple[str, ...]:
    found, label = judged.association, judged.explanation.label
    beside = judged.beside_strength or Correlation(found.n, found.points)
    without = "-" if found.least is None else f"{found.least:.2f} to {found.most:.2f}"
    counts = (str(found.n), str(found.points), str(judged.left_out))
    return label, found.numbers, without, beside.numbers, *counts, judged.verdict.value


def _reading(found: Comparison) -> str:
    judged = (
        f"Fewer than {ENOUGH} methods: descriptive, so that there is neither an interval nor a verdict."
        if found.n < ENOUGH
        else (
            "Interval: 95 %, from drawing whole methods with replacement. Held: alone and given the "
            "budget, the interval and ρ without any one method are on the expected side of 0 (on one side, "
            f"where none is expected). Did not hold: one of the two intervals ends below {WEAK} on that side."
        )
    )
    return (
        "ρ: Spearman's rank correlation with the accuracy gap over methods and budgets. A larger budget "
        "moves every figure, so ρ mixes methods with budgets: given the budget is what is left beside it. "
        f"{judged} Left out: points without a value, with a bound only, or whose features have other "
        "dimensions than those they are read against."
    )


def _left_out(found: Comparison) -> str:
    """Why points have no figure, by the commonest reason, or an explanation has no correlation."""
    lines = []
    for name, own in found.judged.items():
        reasons = Counter(p.reasons[name] for p in found.contestants if name in p.reasons)
        if reasons:
            (reason, _), *rest = reasons.most_common()
            others = ", and other reasons" if rest else ""
            lines.append(f"- `{name}`, {own.left_out} left out: {reason}{others}.{_sides(name, found)}")
        elif own.association.rho is None:
            lines.append(f"- `{name}`: no correlation, all points are alike.")
    return "\n".join(lines)


def _sides(name: str, found: Comparison) -> str:
    """What gaps without a figure are at least or at most."""
    least, most = (
        [
            f"{p.method} {p.strength} {side:.2f}"
            for p in found.contestants
            if name in p.sides and (side := getattr(p.sides[name], end)) is not None
        ]
        for end in ("least", "most")
    )
    said = [f" {what}: {', '.join(some)}." for what, some in ((LEAST_GAP, least), (MOST_GAP, most)) if some]
    return "".join(said)


def _lists(found: Comparison) -> list[str]:
    by_mi = [own for own in found.judged.values() if own.explanation.kind == "MI"]
    return [
        f"**Effective poisons lower MI.** {_among(found)}: {_by_verdict(by_mi, found.n)}",
        *(_against_rivals(own, found) for own in by_mi[:1]),
        *(_direction(direction, found) for direction in found.directions),
    ]


def _by_verdict(judged: Sequence[Judged], n: int) -> str:
    """Each estimator, with its number of methods where that is another one."""
    said = []
    for outcome in Verdict:
        ours = [own for own in judged if own.verdict is outcome]
        counts = ["" if own.association.n == n else f" (n = {own.association.n})" for own in ours]
        sizes = [f" ({own.association.rho:.2f})" if outcome is Verdict.DESCRIPTIVE else "" for own in ours]
        parts = zip(ours, sizes, counts, strict=True)
        names = [f"{own.explanation.name}{size}{count}" for own, size, count in parts]
        said += [f"{outcome.value} with {', '.join(names)}"] if names else []
    return f"{'; '.join(said)}."


def _among(found: Comparison) -> str:
    return f"Among these {found.n} methods"


def _against_rivals(own: Judged, found: Comparison) -> str:
    """Whether the explanation says more than each other kind does."""
    name, rho = own.explanation.name, own.association.rho
    if rho is None:
        return f"**MI explains more than simpler stories.** Undecided: {own.association} of {name}."
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
    whole = all_of([*outcomes.values(), Verdict.OPEN if open_ended else Verdict.HELD])
    kept, gone, open_ = (
        _names(outcomes, outcome) for outcome in (Verdict.HELD, Verdict.FAILED, Verdict.OPEN)
    )
    rest = ", ".join(
        f"{rival} {own.given[rival].rho:.2f}" for rival in outcomes if outcomes[rival] is Verdict.DESCRIPTIVE
    )
    said = [
        f"**MI ({name}) explains more than simpler stories.** Among these {own.association.n} methods: "
        f"{whole.value}.",
        f"ρ of {name} is {rho:.2f}; at least as large in size: {', '.join(as_strong) or 'none'}.",
        f"Given one of these, {name} still goes with the gap: {kept}." if kept else "",
        f"Given one of these, little or nothing is left of it on the expected side: {gone}." if gone else "",
        f"Given one of these, it is undecided: {open_}." if open_ else "",
        f"Given one of these, what is left of its ρ: {rest}." if rest else "",
        f"Not measured: {', '.join(unknown)}." if unknown else "",
    ]
    return " ".join(part for part in said if part)


def _names(outcomes: dict[str, Verdict], wanted: Verdict) -> str:
    return ", ".join(name for name, outcome in outcomes.items() if outcome is wanted)


def _direction(direction: Direction, found: Comparison) -> str:
    labels = {e.name: e.label for e in found.explanations}
    within = ", ".join(f"{m} {own.rho:.2f}" for m, own in direction.within.items() if own.rho is not None)
    said = [
        f"**Lowering the covariance within classes lowers MI** ({labels[direction.cause]}; "
        f"{labels[direction.effect]}). {_among(found)}: {direction.verdict.value}. {direction.over_all}"
        f"{_without_one(direction.over_all)}; given the budget: {direction.beside_strength.numbers}"
        f"{_without_one(direction.beside_strength)}.",
        f"Within methods, over budgets, it rises in {direction.rising} of {len(direction.within)} ({within})."
        if direction.within
        else "Within methods it cannot be said: fewer than three budgets each.",
    ]
    return " ".join(said)


def _without_one(found: Correlation) -> str:
    if found.least is None:
        return ""
    return f" (without one method {found.least:.2f} to {found.most:.2f})"


def _how_sure(found: Comparison) -> str:
    few = (
        f"{found.n} methods are fewer than {ENOUGH}: all correlations are descriptive. They are of these "
        "methods and say nothing of others; an interval from so few would be too narrow, so there is none."
        if found.n < ENOUGH
        else f"{found.n} methods were drawn again for the intervals; their budgets are no further evidence."
    )
    reps = [point.reps for point in found.contestants]
    once = "One poison and one victim each, so their own spread is unknown." if max(reps) == 1 else ""
    shared = (
        "Figures of features and the accuracy gap come from the same victim, except where clean's net is "
        "named: what a victim did not learn shows in its own features, so a part of such a correlation is "
        "circular. Figures of delta and the budget know no victim. A "
        f"correlation is not a cause, and of {len(found.judged)} explanations some go with the gap by chance."
    )
    return " ".join(part for part in (few, once, shared) if part)
