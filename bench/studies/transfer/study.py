"""transfer: does a poison that one surrogate crafted hurt victims of every family?

Each poison is crafted once, and victims train on the same published images: convolutions with shortcuts and
without, dense blocks, depthwise convolutions, attention over patches, linear layers alone. Each has the
recipe that it brings (the transformer: AdamW) or else the profile's, in quick for 32 epochs: the transformer
is slow to begin, and VGG-16 has a learning rate of 0.01.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from bench.results.aggregate import gaps_of, mean_of, summary
from bench.results.replicates import by_unit, chance_of, doubt_of, units_of
from bench.results.rows import Row
from bench.results.select import CLEAN, UNDEFENDED, in_order
from bench.runner.request import Options, Variation
from bench.studies.study import Findings, Record, Study
from bench.studies.transfer.text import table, text

VICTIMS = ("resnet18-slim", "vgg-slim", "densenet-slim", "mobilenet-slim", "vit-slim", "mlp3")
METHODS = (CLEAN, "random", "em", "emax", "tap", "mi-ue")
QUICK = ("victim.epochs=32",)  # vit-slim reads 28 % of clean digits after 8 of them, 480 steps
SLOWER = {"vgg-slim": ("victim.lr=0.01",)}  # reads 97 % of clean digits; with quick's 0.03 34 %
ENDS = {"": "mean", "_low": "low", "_high": "high"}  # of a column's name, and the fields of a mean
COLUMNS = ["net", "method", "control", "n", "poisons", *(f"accuracy{end}" for end in ENDS)]
COLUMNS += ["accuracy_gap", "accuracy_lost", *(f"mi{end}" for end in ENDS), "mi_gap", "mi_share", "doubt"]


def grids() -> list[Variation]:
    return [
        Variation(",".join(METHODS), UNDEFENDED, Options(net=net), QUICK + SLOWER.get(net, ()))
        for net in VICTIMS
    ]


def analyse(rows: Sequence[Row], records: Sequence[Record]) -> Findings:
    """Accuracy and MI of every poison in every net, from rows alone."""
    cells = cells_of(rows)
    return Findings({"transfer": cells}, {}, text(cells, rows), shown=table(cells))


def cells_of(rows: Iterable[Row]) -> pd.DataFrame:
    """Give each method in each net a line: means over poisons, of clean over victims; see COLUMNS.

    Accuracies in [0,1], MI in nats; accuracy_lost is the gap to clean as a share of what clean has above
    chance, mi_share MI's gap to its ceiling as a share of that.
    """
    nets: dict[str, list[Row]] = {name: [] for name in VICTIMS}
    for row in rows:
        nets.setdefault(str(row.inputs["net"]), []).append(row)
    found = []
    for net, ours in nets.items():
        clean = [row for row in ours if row.method == CLEAN]
        for method in in_order((row.method for row in ours), METHODS, CLEAN):
            own = [row for row in ours if row.method == method]
            found.append({"net": net, "method": method} | _cell(own, clean))
    return pd.DataFrame(found, columns=COLUMNS, dtype=object)


def _cell(rows: Sequence[Row], clean: Sequence[Row]) -> dict[str, object]:
    """Summarise one method in one net; of victims that did not learn no accuracy is compared."""
    done = [row for row in rows if row.status == "ok"]
    doubt, top = doubt_of(done, clean), mean_of(units_of(clean, "test_acc"))
    gap = None if doubt else mean_of(by_unit(gaps_of(done, clean, "test_acc")))
    found: dict[str, object] = {"control": rows[0].control, "n": len(done)}
    found["poisons"] = len({row.poison_rep for row in done})
    for name, column in (("accuracy", "test_acc"), ("mi", "mi")):
        mean = summary(units_of(done, column))
        found |= {f"{name}{end}": getattr(mean, of, None) for end, of in ENDS.items()}
    lost = None if gap is None or top is None else gap / (top - chance_of(clean))
    return found | {
        "accuracy_gap": gap,
        "accuracy_lost": lost,
        "mi_gap": mean_of(units_of(done, "mi_gap")),
        "mi_share": mean_of(units_of(done, "mi_share")),
        "doubt": doubt or "",
    }


STUDY = Study("does a poison of one surrogate hurt victims of every family?", grids, analyse)
