"""strength: what a smaller budget, and poisoning only a share of the images, leaves of the protection.

Each poison is crafted on all training images, once for all shares. At a share the other images are
published clean, and beside it stands a victim that learned from these alone: whoever can tell them
apart loses nothing by leaving the poisoned ones out. All that trains a victim is the same: at a share
of 0 it is clean's, which is not trained again for every method.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from bench.report.figures.style import style
from bench.results.rows import Row
from bench.results.select import CLEAN, UNDEFENDED
from bench.runner.request import Options, Variation
from bench.studies.strength.figures import by_eps, by_share
from bench.studies.strength.points import StrengthPoint, points_of
from bench.studies.strength.text import text
from bench.studies.study import Findings, Record, Study

LEVELS = (2, 4, 8, 16)  # budgets, in 255ths
LEVEL = 8  # of the shares
PARTS = (0.5, 0.8)  # shares beside none and all
CONTESTANTS = "em,tap,mi-ue"
NOISE = "random,"  # the control that a budget moves


def grids() -> list[Variation]:
    """Budgets at share 1, shares at one budget, and the baseline of each share, once for all methods."""
    found = [_grid(CLEAN, LEVEL)]
    found += [_grid(NOISE + CONTESTANTS, level) for level in LEVELS]
    for share in PARTS:
        found.append(_grid(CONTESTANTS, LEVEL, share=f"{share:g}"))
        found.append(_grid(CLEAN, LEVEL, share=f"{share:g}", drop_poisoned=True))
    return found


def _grid(methods: str, level: int, **more: Any) -> Variation:
    return Variation(methods, UNDEFENDED, Options(eps=f"{level}/255", **more))


def analyse(rows: Sequence[Row], records: Sequence[Record]) -> Findings:
    """Accuracy and MI against budget and share, from rows alone."""
    points = points_of(rows)
    with style():
        made = {"strength-eps": by_eps(points, rows), "strength-share": by_share(points, rows)}
    figures: dict[str, Figure] = {name: figure for name, figure in made.items() if figure is not None}
    table = pd.DataFrame([point.columns for point in points], dtype=object)
    return Findings({"strength": table}, figures, text(points, rows), shown=accuracies(points))


def accuracies(points: Sequence[StrengthPoint]) -> pd.DataFrame:
    """Percent: methods down, budgets and shares across."""
    down: dict[str, dict[str, str]] = {}
    for point in points:
        place = (
            f"{point.eps_255:g}/255" if point.share == 1 else f"{100 * point.share:g} % at {point.eps_255:g}"
        )
        known = "-" if point.accuracy is None else f"{100 * point.accuracy.mean:.1f}"
        down.setdefault(point.method, {})[place if point.eps_255 else "clean"] = known
    return pd.DataFrame.from_dict(down, orient="index").fillna("-").rename_axis("%").reset_index()


STUDY = Study("accuracy and MI against the budget and against the share of poisoned images", grids, analyse)
