"""The card -> card.csv, card.md, card.png and card.svg, and a table on the terminal."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from rich.console import Console

from bench.report import formats
from bench.report.figures.style import png_and_svg, style
from bench.report.prose import render
from bench.report.tables import DOUBTED
from bench.results.correlation import ENOUGH
from bench.results.describe import no_order
from bench.results.select import CLEAN
from bench.studies.claims.card import Board, Card, ours, pairs, record, said, title
from bench.studies.claims.judge import ERRORS, MARGIN, OVERALL, TOLERANCE, ClaimVerdict, why_not
from bench.studies.claims.nearness import PUBLISHED

NAME = "card"
HEADER = ("method", "defense", "published", "read", "ours", "n", "setting", "verdict", "pairs")
SHOWN = tuple(name for name in HEADER if name not in ("read", "setting"))  # on the terminal
WIDTH = 110  # of the Markdown's lines


def write(card: Card, out: Path) -> list[Path]:
    """All of them; an earlier figure goes where there is nothing to draw."""
    from bench.studies.claims.figures import scatter

    boards, images = [own for own in card.boards if own.comparable], (f"{NAME}.png", f"{NAME}.svg")
    contents: dict[str, str | bytes] = {
        f"{NAME}.csv": formats.csv(map(record, card.judged)),
        f"{NAME}.md": markdown(card, has_figure=bool(boards)),
    }
    for name in () if boards else images:
        (out / name).unlink(missing_ok=True)
    if boards:
        with style():
            contents |= zip(images, png_and_svg(scatter(boards)), strict=True)
    return formats.write(contents, out)


# Markdown


def markdown(card: Card, *, has_figure: bool) -> str:
    """Write all that the card says; has_figure: whether there is a figure."""
    return render(
        __name__,
        WIDTH,
        card=card,
        figure=f"{NAME}.png" if has_figure else "",
        boards=[
            (own, f"Ours: setting {own.setting[:8]}", formats.markdown(_cells(own)), conclusions(own))
            for own in card.boards
        ],
        nothing_beside=_nothing_beside(card),
        published=PUBLISHED,
        tolerance=TOLERANCE,
        errors=ERRORS,
        margin=MARGIN,
        enough=ENOUGH,
        doubted=DOUBTED,
    )


def conclusions(board: Board) -> list[str]:
    """Say what follows from a board, in lines."""
    ours = [(own.claim.method, own.ours.n) for own in board.judged if own.ours]
    said_of = render(
        f"{__package__}.conclusions",
        board=board,
        overall=board.metric == OVERALL,
        no_order=no_order(pair for pair in ours if pair[0] != CLEAN),
        broken=[*map(said, board.breaks)],
    )
    return said_of.strip().splitlines()


def _nothing_beside(card: Card) -> str:
    """One line for all cells of a source that lack the same; empty where none lacks anything."""
    idle: dict[tuple[str, str], list[str]] = {}
    for own in card.judged:
        if own.verdict is ClaimVerdict.NOT_RUN:
            cell = f"{own.claim.cell} {own.claim.published}"
            idle.setdefault((title(own.claim), why_not(own)), []).append(cell)
    body = [[*key, "; ".join(cells)] for key, cells in idle.items()]
    table = pd.DataFrame(body, columns=["source", "why", "cells, as published"])
    return formats.markdown(table) if body else ""


def _cells(board: Board) -> pd.DataFrame:
    lines = [
        (
            *(own.claim.method, f"{own.claim.defense}{own.claim.budget}", own.claim.published),
            *(own.claim.confidence, ours(own.beside), own.beside.ours.n),
            *(own.beside.near.setting, own.verdict, pairs(own)),
        )
        for own in board.judged
        if own.beside is not None
    ]
    return pd.DataFrame(lines, columns=HEADER)


# Terminal


def show(card: Card, console: Console) -> None:
    """Print a table for each source with rows of ours, and the counts."""
    for text in card.circumstances.values():
        console.print(formats.line(f"ours: {text}"))
    for board in card.boards:
        console.print()
        console.print(formats.line(f"{board.title}. Ours: setting {board.setting[:8]}"))
        console.print(formats.grid(_cells(board)[[*SHOWN]], "llrlrll"))
        for line in filter(None, conclusions(board)):
            console.print(formats.line(line))
    console.print()
    console.print(formats.line(f"{card.summary}"))
