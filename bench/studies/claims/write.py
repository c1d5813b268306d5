"""The card -> card.csv, card.md, card.png and card.svg, and a table on the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import fill

import pandas as pd
from rich.console import Console
from rich.text import Text

from bench.core.files import write_atomically
from bench.report import formats
from bench.report.figures.style import png_and_svg, style
from bench.results.correlation import ENOUGH
from bench.studies.claims.card import RESULTS, Board, Card, ours, pairs, record, said, title
from bench.studies.claims.claim import COLUMNS
from bench.studies.claims.judge import ERRORS, MARGIN, OVERALL, TOLERANCE, Judged, Verdict, why_not
from bench.studies.claims.nearness import PUBLISHED

NAME = "card"
HEADER = ("method", "defense", "published", "sure", "ours", "reps", "setting", "verdict", "pairs")
SHOWN = tuple(name for name in HEADER if name not in ("sure", "setting"))  # on the terminal
LEGEND = {
    "published, sure": "the number as printed, and how we know it: primary (read in the paper's code, README "
    "or abstract), second-hand (read in a note on the paper), derived (computed from such). Table, recipe "
    f"and remarks of each are in {NAME}.csv",
    "ours": "the mean over repetitions and its 95 % t interval. ~: one repetition, with the pooled spread of "
    "the setting's repeated cells, which is too small for a cell that scatters more than they do. Without an "
    "interval: nothing in its setting was repeated. Victims of one poison differ in their seeds alone",
    "setting": "same: data set, at least 95 % of the training images (the rest is validation), nets (but for "
    "controls the surrogate's too), the victim's recipe (epochs, batch, lr, weight decay, schedule, the "
    "milestones at which its steps fall, clipping of gradients), and method and defense at their published "
    "strength. reduced: less of one of these and more of none, another recipe with no more epochs, or one of "
    "these not stated. A recipe that was read and names no clipping has none. other: anything else, which is "
    "not judged. Of several settings of ours the nearest is judged, then the one in which fewest things "
    "differ",
    "strength": f"methods and defenses are at their published strength in the profile {PUBLISHED} and in "
    f"those named after it ({PUBLISHED}-em), where each parameter that is not is said. In another profile "
    "parameters are said where nothing else differs, and else that the strength is the profile's, which can "
    "be less for some (fewer rounds or steps)",
    "verdict": f"same setting: reproduced within {TOLERANCE:g} points or, if that is more, {ERRORS:g} "
    "standard errors of ours (where it was repeated), else not reproduced. Reduced setting: by order alone, "
    "below. not run: no rows of that data set, method, defense and budget in the same or a reduced setting. "
    "not comparable: rows whose MI is of features of other dimensions than clean's, which alone moves it",
    "order": "a claim is compared with the other claims of its source, data set, net and metric that have "
    "rows in the same setting of ours. Published numbers less than "
    f"{MARGIN['test_acc']:g} points ({MARGIN['mi']:g} nats) apart are ties and have no order. Our intervals "
    "decide a pair where they lie apart. order holds: every decided pair agrees, and there is one. order "
    "broken: one disagrees. undecided: none is decided",
    "pairs": "+ decided and as published, - decided and the other way round, ? not decided",
    "MI": "their estimator is another one, with settings that are not known: only orders are compared, in "
    "any setting, and methods whose features have other dimensions than clean's are in none. A rank "
    f"correlation over methods has an interval from {ENOUGH} methods on; its order holds "
    "where that lies on the published side of 0. Its repetitions are methods; a variant (em-class) beside "
    "its base (em) is no method of its own",
    "rank correlation over cells": f"Spearman's, with an interval from drawing cells again, from {ENOUGH} "
    "cells on. Cells of one method share its poison, so that the interval is too narrow",
    "copies": "a data set named after another one (cifar10-jpeg75, CIFAR-10 as JPEG files of quality 75) is "
    "never the same setting. Gray and JPEG as defenses are a second compression of such images: only orders "
    "are compared, and a cell is to be read against clean under the same defense",
    "what is no claim": "a bound or a range is no number that ours could be beside: MI-UE with a weight of "
    "its distance term of 10 or more, published as 45+, has no line",
}


def write(card: Card, out: Path) -> list[Path]:
    """All of them; an earlier figure goes where there is nothing to draw."""
    out.mkdir(parents=True, exist_ok=True)
    figure = _figure(card)
    contents: dict[str, str | bytes] = {
        f"{NAME}.csv": formats.csv(map(record, card.judged), [*COLUMNS, *RESULTS]),
        f"{NAME}.md": markdown(card, drawn=bool(figure)),
        **figure,
    }
    for name, content in contents.items():
        write_atomically(out / name, content)
    for ending in ("png", "svg"):
        if not figure:
            (out / f"{NAME}.{ending}").unlink(missing_ok=True)
    return [out / name for name in contents]


def _figure(card: Card) -> dict[str, str | bytes]:
    from bench.studies.claims.figures import drawable, scatter

    boards = drawable(card.boards)
    if not boards:
        return {}
    with style():
        return dict(zip((f"{NAME}.png", f"{NAME}.svg"), png_and_svg(scatter(boards)), strict=True))


# Markdown


def markdown(card: Card, *, drawn: bool) -> str:
    lines = ["# Claims report card", "", f"**{card.summary}.**", ""]
    lines += [f"![Published numbers against ours]({NAME}.png)", ""] if drawn else []
    lines += [*_settings(card)]
    for board in card.boards:
        lines += [*_board(board), ""]
    lines += [*_nothing_beside(card), "## What the words mean", ""]
    lines += [fill(f"- **{name}**: {text}.", 110, subsequent_indent="  ") for name, text in LEGEND.items()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _settings(card: Card) -> Iterator[str]:
    if card.circumstances:
        yield from ("## Our settings", "")
        yield from (fill(f"- {text}.", 110, subsequent_indent="  ") for text in card.circumstances.values())
        yield from (*(f"    {note}" for note in card.notes), "")


def _board(board: Board) -> Iterator[str]:
    yield from (f"## {board.title}", "")
    yield fill(f"{_in_setting(board)}, which differs: {'; '.join(board.differs) or 'in nothing'}.", 110)
    yield ""
    yield formats.markdown(_cells(board))
    yield ""
    yield from (fill(line, 110) for line in conclusions(board))


def _in_setting(board: Board) -> str:
    return f"Ours: setting {board.setting[:8]}"


def conclusions(board: Board) -> Iterator[str]:
    """The rank correlation over the cells, what has no interval, and which pairs break the order."""
    if board.comparable:
        yield f"Published against ours over cells: {board.correlation}."
        if not any(own.ours and own.ours.low is not None for own in board.judged):
            yield "Nothing in this setting was repeated: there are no intervals to decide an order by."
    elif board.metric != OVERALL:
        yield "No other number of this source has rows beside it, so that there is no order to compare."
    if board.breaks:
        cells = ", ".join(f"{name} ({count})" for name, count in board.breakers.items())
        yield f"Pairs whose order is broken: {len(board.breaks)}, by cell {cells}."
        yield ""
        yield from (f"- {said(pair)}" for pair in board.breaks)


def _nothing_beside(card: Card) -> Iterator[str]:
    """One line for all cells of a source that lack the same."""
    idle: dict[tuple[str, str], list[str]] = {}
    for own in card.judged:
        if own.verdict in (Verdict.INCOMPARABLE, Verdict.NOT_RUN):
            cell = f"{own.claim.cell} {own.claim.published}"
            idle.setdefault((title(own.claim), why_not(own)), []).append(cell)
    if idle:
        body = [[*key, "; ".join(cells)] for key, cells in idle.items()]
        table = pd.DataFrame(body, columns=["source", "why", "cells, as published"])
        yield from ("## Nothing beside them", "", formats.markdown(table), "")


def _cells(board: Board) -> pd.DataFrame:
    return pd.DataFrame([_texts(own) for own in board.judged], columns=HEADER)


def _texts(own: Judged) -> list[str]:
    claim = own.claim
    setting = own.near.setting.value if own.near else ""
    reps = str(own.ours.n) if own.ours else ""
    return [
        *(claim.method, f"{claim.defense}{claim.budget}", claim.published, claim.confidence),
        *(ours(own), reps, setting, own.verdict.value, pairs(own)),
    ]


# Terminal


def show(card: Card, console: Console) -> None:
    """A table for each source with rows of ours, and the counts."""
    for text in card.circumstances.values():
        console.print(Text(f"ours: {text}"))
    for board in card.boards:
        console.print(Text(f"\n{board.title}. {_in_setting(board)}"))
        console.print(formats.grid(_cells(board)[[*SHOWN]], "llrlrll"))
        for line in filter(None, conclusions(board)):
            console.print(Text(line))
    console.print(Text(f"\n{card.summary}"))
