"""What a reader of the numbers should know before believing them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from bench.report.summary import Summary
from bench.report.tables import DOUBTED
from bench.results.aggregate import counterpart
from bench.results.describe import mixture, reported
from bench.results.rows import Row
from bench.results.select import CLEAN


def warnings_of_setting(summary: Summary) -> list[str]:
    """List doubts about all numbers of a setting."""
    rows = summary.rows
    ok = [row for row in rows if row.status == "ok"]
    counts = [len([row for row in group if row.status == "ok"]) for group in summary.groups.values()]
    clean = {defense: group for (method, defense), group in summary.groups.items() if method == CLEAN}
    doubts = Counter(row.defense for row in rows if warnings_of_row(row, clean.get(row.defense, ())))
    cells, once, order = summary.accuracy.cells.values(), 1 in counts, summary.accuracy.unordered()
    unlearned = Counter(cell.defense for cell in cells if cell.mean is not None and cell.doubt)
    holes = [cell.status for cell in cells if cell.mean is None]
    dirty = sorted(
        {commit for row in ok if (commit := str(row.environment.get("commit", ""))).endswith("-dirty")}
    )
    said = {
        "The images are synthetic. This shows that methods, defenses and measurements work together; it "
        "ranks nothing and says nothing of photographs.": any(row.synthetic for row in rows),
        "Spread unknown: some cells were measured once, so small differences may be noise.": once,
        f"{order[:1].upper()}{order[1:]}.": bool(order),
        f"No verdict ({DOUBTED}), since a victim did not learn: {_counted(unlearned)}.": bool(unlearned),
        f"Doubted, see their cells: {_counted(doubts)}.": bool(doubts),
        f"{len(holes)} of {len(cells)} cells have no accuracy ({', '.join(sorted(set(holes)))}).": bool(
            holes
        ),
        f"Numbers of different circumstances stand beside each other; {mixture(rows)}.": bool(mixture(rows)),
        f"Computed from code that was changed after its commit ({', '.join(dirty)}).": bool(dirty),
        **{f"{line}.": True for line in reported(rows)},
        f"There is no {CLEAN}: nothing says what the victims reach undisturbed.": CLEAN
        not in summary.methods,
    }
    return [text for text, holds in said.items() if holds]


def _counted(numbers: Mapping[str, int]) -> str:
    """Write numbers of cells or rows by defense: 2 under at-8, 1 under uer."""
    return ", ".join(f"{n} under {defense}" for defense, n in numbers.items())


def warnings_of_row(row: Row, clean: Sequence[Row]) -> list[str]:
    """List doubts about one row, read beside clean's rows under the same defense."""
    if row.status != "ok":
        return []
    twin = counterpart(row, [other for other in clean if other.status == "ok"])
    said = {
        "The published images are the clean ones.": row.linf == 0 and not row.control,
        f"Its numbers are exactly those of {CLEAN}.": twin is not None
        and row.method != CLEAN
        and (row.test_acc, row.train_acc, row.curve) == (twin.test_acc, twin.train_acc, twin.curve),
        **{f"{line}.": True for line in reported([row])},
    }
    return [text for text, holds in said.items() if holds]
