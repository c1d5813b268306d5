"""The tables of the study of depth, and the values of text.md.j2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from bench.report.formats import markdown
from bench.report.prose import render
from bench.report.tables import DOUBTED
from bench.results.correlation import ENOUGH, Correlation
from bench.results.describe import no_order
from bench.results.select import CLEAN

Correlations = Mapping[str, Mapping[str, Correlation]]
TABLES = {
    "accuracy": ("Test accuracy, %", 100, 1),
    "accuracy_gap": ("Accuracy gap, points", 100, 1),
    "accuracy_lost": ("Share lost of clean's accuracy above chance, %", 100, 0),
    "mi": ("MI of each victim on its own poison, nats", 1, 3),
    "mi_gap": ("MI gap, nats: own net", 1, 3),
    "mi_lost": ("MI gap as a share of its ceiling, %: own net", 100, 0),
    "mi_clean_net": ("MI through the clean-trained net, nats", 1, 3),
    "mi_gap_clean_net": ("MI gap, nats: one clean-trained net for all poisons", 1, 3),
    "mi_lost_clean_net": (
        "MI gap as a share of its ceiling, %: one clean-trained net for all poisons",
        100,
        0,
    ),
}


def text_of(
    cells: pd.DataFrame, over: Correlations, within: Correlations, about: str, lacking: Sequence[str]
) -> str:
    """Markdown: what was asked, what came out by method, all numbers, what is lacking."""
    crafted = cells[cells["method"] != CLEAN]
    return render(
        __name__,
        about=about,
        linear=[*cells["net"][cells["features"] == "logits"].unique()],
        enough=ENOUGH,
        clean=CLEAN,
        over=over,  # nets, method by method
        within=within,  # methods, net by net
        controls={*cells["method"][cells["control"].astype(bool)]},
        tables=[(title, markdown(_wide(cells, name, *form))) for name, (title, *form) in TABLES.items()],
        lacking=lacking,
        no_order=no_order(zip(crafted["method"], crafted["poisons"], strict=True)),
        sign=DOUBTED,
        doubted=[f"{one['method']} in {one['net']}" for one in cells.to_dict("records") if one["doubt"]],
    )


def _wide(cells: pd.DataFrame, column: str, unit: int, digits: int) -> pd.DataFrame:
    """Methods down, nets across, with intervals where there are any."""
    if "gap" in column or "lost" in column:
        cells = cells[cells["method"] != CLEAN]
    several = cells["defense"].nunique() > 1
    down: dict[str, dict[str, str]] = {}
    for cell in cells.to_dict("records"):
        name = f"{cell['method']} x {cell['defense']}" if several else str(cell["method"])
        sign = DOUBTED if cell["doubt"] and column == "accuracy" else ""
        values = [cell[f"{column}{end}"] for end in ("", "_low", "_high")]
        texts = ["-" if pd.isna(value) else f"{unit * value:z.{digits}f}" for value in values]
        interval = "" if texts[1] == "-" else f" [{texts[1]}, {texts[2]}]"
        down.setdefault(name, {})[str(cell["net"])] = texts[0] + sign + interval
    table = pd.DataFrame.from_dict(down, orient="index").fillna("-")
    return table.rename_axis("method").reset_index()
