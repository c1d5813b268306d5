"""Cells -> the tables of transfer, and the values of text.md.j2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bench.report.formats import markdown
from bench.report.prose import percent, render
from bench.report.tables import DOUBTED
from bench.results.describe import no_order
from bench.results.rows import Row
from bench.results.select import CLEAN, one_line

LOST = "share lost of clean's accuracy above chance, %"


def text(cells: pd.DataFrame, rows: Sequence[Row]) -> str:
    """Markdown: what was asked, one table, where each poison costs most and least, what is lacking."""
    crafted = cells[cells["method"] != CLEAN]
    recipes = {str(row.inputs["net"]): _recipe(row.inputs["victim"]) for row in rows}
    return render(
        __name__,
        about=_about(rows[0]) if rows else "no rows",
        recipes={net: recipes[net] for net in cells["net"].unique()},  # as the table has them, not the rows
        accuracies=markdown(table(cells, "accuracy, % (MI gap, %)")) if len(cells) else "",
        losses=markdown(table(crafted, LOST, "accuracy_lost")) if len(crafted) else "",
        ranges=[_range(str(name), own) for name, own in crafted.groupby("method", sort=False)],
        doubted=[f"{one['method']} in {one['net']}" for one in cells.to_dict("records") if one["doubt"]],
        sign=DOUBTED,
        intervals=bool(cells["accuracy_low"].notna().any()),
        no_order=no_order(zip(crafted["method"], crafted["poisons"], strict=True)),
        lacking=[
            f"{row.inputs['net']}, {row.method}: {row.status}, {one_line(row.reason)}"
            for row in sorted(rows, key=lambda row: (row.inputs["net"], row.method))
            if row.status != "ok"
        ],
    )


def table(cells: pd.DataFrame, first: str = "%", column: str = "accuracy") -> pd.DataFrame:
    """Methods down, nets across, in percent. first: heads the methods; where it says MI, that is beside."""
    down: dict[str, dict[str, str]] = {}
    for cell in cells.to_dict("records"):
        said = "-" if pd.isna(cell[column]) else percent(cell[column])
        if column == "accuracy" and said != "-":
            said += DOUBTED if cell["doubt"] else ""
            said += (
                f" ({percent(cell['mi_share'])})" if "MI" in first and not pd.isna(cell["mi_share"]) else ""
            )
        down.setdefault(str(cell["method"]), {})[str(cell["net"])] = said
    return pd.DataFrame.from_dict(down, orient="index").fillna("-").rename_axis(first).reset_index()


def _about(row: Row) -> str:
    images, surrogate = row.inputs["data"]["train_images"], row.inputs["surrogate"]
    return f"{row.data}, {images} training images, profile {row.profile}, surrogate {surrogate}"


def _recipe(victim: Mapping[str, Any]) -> str:
    return f"{victim.get('optimiser', 'sgd')}, lr {victim['lr']:g}, {victim['epochs']} epochs"


def _range(method: str, cells: pd.DataFrame) -> str:
    """Say in which nets a poison costs most and least, of all in which it can be said."""
    known = cells.dropna(subset=["accuracy_lost"]).sort_values("accuracy_lost", key=lambda s: s.astype(float))
    name = f"`{method}`" + (" (control)" if bool(cells["control"].iloc[0]) else "")
    if len(known) < 2:
        return f"{name}: compared in {len(known)} nets"
    least, most = (known.iloc[place] for place in (0, -1))
    ends = (f"{percent(one['accuracy_lost'])} % in {one['net']}" for one in (least, most))
    return f"{name}: from {' to '.join(ends)}, over {len(known)} nets"
