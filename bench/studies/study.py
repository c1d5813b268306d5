"""What a study is: grids to compute, measures of their victims, and what follows from both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import pandas as pd
from matplotlib.figure import Figure
from msgspec import Meta

from bench.metrics import Value
from bench.results.rows import Row
from bench.runner.request import Variation

IMAGES = 5000  # at most, on which victims are measured; a row's own MI can be of fewer
FORM = 1  # revision: how features are kept, see features.py; in every record of features


@dataclass(frozen=True)
class Record:
    """One measure of one poison through one net, or why there is none."""

    measure: str
    net_row: str  # key of the row whose victim is the net
    poison_row: str  # key of a row of the poison; the net's own row, unless another net looks at it
    values: Mapping[str, Value] = field(default_factory=dict)
    reason: str | None = None
    seconds: Annotated[float, Meta(ge=0)] = 0.0


def images_of(poison: Row) -> str:
    """Tell poisons apart by their images."""
    return poison.published or poison.key


@dataclass(frozen=True)
class Findings:
    """What a study gives: written as CSV, as PNG and SVG, and as Markdown."""

    tables: Mapping[str, pd.DataFrame]  # file name without ending -> table
    figures: Mapping[str, Figure]
    text: str  # Markdown: the tables' main lines and what they do and do not say
    shown: pd.DataFrame | None = None  # on the terminal, which it must fit; None: the first of the tables


@dataclass(frozen=True)
class Study:
    """A question, as the command line knows it. All grids share what the user gave: data, profile, --set."""

    about: str  # one line for --help
    grids: Callable[[], Sequence[Variation]]  # each is one call of the harness, into the same rows
    analyse: Callable[[Sequence[Row], Sequence[Record]], Findings]  # from rows and records alone
    measures: tuple[str, ...] = ()  # of every victim on its own poison
    # of every poison through the victim of clean with the same net and rep
    through_clean: tuple[str, ...] = ()
