"""reference: the suite's results on one data set: what each method does, and what each defense gives back.

Three victims where the main statements stand, one elsewhere, of one poison a method unless --poison-reps
asks for more: only over several poisons are there intervals, orders and verdicts. All cells lie in one
setting, and nothing is measured of the victims beside their rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pandas as pd
from matplotlib.figure import Figure

from bench.report.figures.jpeg import jpeg_sweep
from bench.report.figures.style import style
from bench.report.summary import collect
from bench.results.aggregate import Pair
from bench.results.rows import Row
from bench.results.select import CLEAN, UNDEFENDED
from bench.runner.request import Options, Variation
from bench.studies.reference.figures import restored
from bench.studies.reference.patterns import judged
from bench.studies.reference.restored import cell_of, means_of, share_of
from bench.studies.reference.text import text
from bench.studies.study import Findings, Record, Study

OURS = "clean,em,emax,tap,mi-ue"
GRIDS = (  # methods, defenses, repetitions
    (f"{OURS},em-class,mi-ue-cos", "none,iss-gray,iss-jpeg10", 3),
    ("random", "none", 3),
    (OURS, "cutout,uer,iss-bdr2,at-8,at-4,at-2", 1),
    ("random,em-class", "at-8,at-4", 1),
    ("mi-ue-cos", "at-4", 1),
    (f"{OURS},em-class,mi-ue-cos", "iss-jpeg5,iss-jpeg30,iss-jpeg50,iss-jpeg75,iss-jpeg95", 1),
)


def grids() -> list[Variation]:
    return [Variation(methods, defenses, Options(reps=str(reps))) for methods, defenses, reps in GRIDS]


def pairs() -> list[Pair]:
    """All cells, by method, with the defenses in the order of the grids."""
    wanted = [pair for ms, ds, _ in GRIDS for pair in product(ms.split(","), ds.split(","))]
    methods = list(dict.fromkeys(method for method, _ in wanted))
    return sorted(wanted, key=lambda pair: methods.index(pair[0]))


def analyse(rows: Sequence[Row], records: Sequence[Record]) -> Findings:
    """Means, shares given back and verdicts, from rows alone."""
    means, controls = means_of(rows), {row.method for row in rows if row.control}
    cells = [cell_of(means, pair, controls) for pair in pairs()]
    contested = [(m, d) for m, d in pairs() if m not in {CLEAN, *controls} and d != UNDEFENDED]
    shares = [share_of(means, *pair) for pair in contested]
    found = judged(shares)
    with style():
        sweep = next(map(jpeg_sweep, collect(rows, mix=True)), None)
        made = {"jpeg-sweep": sweep, "restored": restored(shares, rows)}
    figures: dict[str, Figure] = {name: figure for name, figure in made.items() if figure is not None}
    lines = {
        "patterns": map(vars, found),
        "reference": (c.columns for c in cells),
        "restored": map(vars, shares),
    }
    tables = {name: pd.DataFrame(some, dtype=object) for name, some in lines.items()}
    return Findings(tables, figures, text(means, cells, found, rows))


STUDY = Study("accuracy and MI of every method, and the share that each defense gives back", grids, analyse)
