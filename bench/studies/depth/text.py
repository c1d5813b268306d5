"""The tables of the study of depth, and the values of text.md.j2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from bench.report.formats import markdown
from bench.report.prose import render
from bench.report.tables import DOUBTED
from bench.results.correlation import ENOUGH, Correlation
from bench.results.describe import no_order
from bench.results.select import CLEAN
from bench.studies.verdict import WEAK, Outcome, verdict

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


CLAIMS = {  # of correlations over nets, which all are expected to be above 0
    "depth and share of accuracy lost": "Deeper nets lose a larger share of their accuracy",
    "depth and share of MI lost, own net": "Deeper nets lose a larger share of MI in their own features",
    "depth and share of MI lost, clean-trained net": "The same in nets trained on clean images",
    "shares of accuracy and of MI lost, own net": "Nets that lose more accuracy lose more MI",
    "shares of accuracy and of MI lost, clean-trained net": "The same in nets trained on clean images",
}


def text_of(
    cells: pd.DataFrame,
    over: Correlations,
    within: Correlations,
    about: str,
    lacking: Sequence[str],
    command: str,
) -> str:
    """Markdown: what was asked, the answer, all numbers, the command, caveats, what is lacking."""
    crafted = cells[cells["method"] != CLEAN]
    controls = {*cells["method"][cells["control"].astype(bool)]}
    contestants = {method: own for method, own in over.items() if method not in controls}
    return render(
        __name__,
        about=about,
        linear=[*cells["net"][cells["features"] == "logits"].unique()],
        enough=ENOUGH,
        weak=WEAK,
        clean=CLEAN,
        over=over,  # nets, method by method
        within=within,  # methods, net by net
        controls=controls,
        answers=[(claim, [*_by_outcome(contestants, what)]) for what, claim in CLAIMS.items()],
        ends=[*_ends(crafted[~crafted["control"].astype(bool)])],
        command=command,
        two=crafted["poisons"].max() == 2 if len(crafted) else False,
        tables=[(title, markdown(_wide(cells, name, *form))) for name, (title, *form) in TABLES.items()],
        lacking=lacking,
        no_order=no_order(zip(crafted["method"], crafted["poisons"], strict=True)),
        sign=DOUBTED,
        doubted=[f"{one['method']} in {one['net']}" for one in cells.to_dict("records") if one["doubt"]],
    )


def _by_outcome(over: Correlations, what: str) -> Iterator[str]:
    """Say of which methods it held, did not, or is not decided, with the correlations."""
    for outcome in Outcome:
        found = [(m, own[what]) for m, own in over.items() if verdict(own[what], 1) is outcome]
        if found:
            yield f"{outcome} for " + ", ".join(f"`{method}` ({rho.numbers})" for method, rho in found)


def _ends(cells: pd.DataFrame) -> Iterator[str]:
    """Give the share of accuracy that each method takes from the shallowest and the deepest net."""
    for method, own in cells.dropna(subset=["accuracy_lost"]).groupby("method", sort=False):
        if len(own) > 1:
            first, last = (_said(own.iloc[place]) for place in (0, -1))
            yield f"`{method}` {first} and {last}"


def _said(cell: pd.Series) -> str:
    values = [cell[f"accuracy_lost{end}"] for end in ("", "_low", "_high")]
    middle, *ends = ("-" if pd.isna(value) else f"{100 * value:z.0f}" for value in values)
    interval = "" if "-" in ends else f" [{', '.join(ends)}]"
    return f"{middle}{interval} % in {cell['net']}"


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
