"""Rows -> tables: which rows belong together, their means, gaps and captions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import product
from statistics import fmean, stdev
from typing import Any, Literal

from bench.rows import Row

REFERENCE = "clean"  # the method that MI gaps are read against
UNDEFENDED = "none"  # the defense that comes first
LONGEST = 100  # characters of a reason under a table
Pairs = Iterable[tuple[str, str]]  # method, defense
Groups = Mapping[tuple[str, str], Sequence[Row]]


@dataclass(frozen=True)
class Cell:
    """All repetitions of one method under one defense. Shares in [0,1] or nats; None: not there."""

    setting: str
    method: str
    defense: str
    mean: float | None
    std: float | None  # of the sample; None below two repetitions
    n: int  # repetitions behind the mean
    status: str  # ok, partial (not all repetitions count), failed, skipped, unmeasured or missing
    reason: str | None
    gap: float | None = None  # MI of clean minus this one, paired by repetition
    null: float | None = None


@dataclass(frozen=True)
class Table:
    """One measure in one setting: methods down, defenses across."""

    measure: str  # accuracy or mi; also the file's name
    setting: str
    caption: str
    methods: list[str]
    defenses: list[str]
    cells: dict[tuple[str, str], Cell]  # method, defense
    variants: list[str]  # what names with @ stand for

    def texts(self, method: str) -> list[str]:
        return [text_of(self.cells[method, defense], self.measure) for defense in self.defenses]

    def notes(self) -> list[str]:
        return self.variants + [note_of(cell) for cell in self.cells.values() if cell.reason is not None]


# Which rows belong together


def identity(row: Row) -> tuple[str, str, str, str, int, int, str]:
    return row.data, row.setting, row.method, row.defense, row.poison_rep, row.rep, row.key


def by_setting(rows: Iterable[Row]) -> list[list[Row]]:
    """The rows of each setting, whatever order they come in."""
    settings: dict[str, list[Row]] = {}
    for row in sorted(rows, key=identity):
        settings.setdefault(row.setting, []).append(row)
    return list(settings.values())


def in_order(names: Iterable[str], given: Sequence[str] | None, first: str) -> list[str]:
    """The names as given, then `first`, then the rest by the alphabet; variants beside each other."""
    place = {name: index for index, name in enumerate(given or ())}

    def order(name: str) -> tuple[int, bool, str]:
        plain = name.split("@", maxsplit=1)[0]
        return place.get(plain, len(place)), plain != first, name

    return sorted(set(names), key=order)


def grouped(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.method, row.defense), []).append(row)
    return groups


def leaves(value: Any, path: str = "") -> dict[str, str]:
    """Nested parameters as flat text: {"surrogate": {"epochs": 5}} -> {"surrogate.epochs": "5"}."""
    if not isinstance(value, Mapping):
        return {path: str(value)}
    inner = (leaves(part, f"{path}.{name}" if path else name) for name, part in value.items())
    return {name: text for part in inner for name, text in part.items()}


def told_apart(rows: Sequence[Row], kind: Literal["method", "defense"]) -> tuple[list[Row], list[str]]:
    """Rows renamed where one name stands for several plugins (other parameters, other code).

    They are no repetitions of each other. Also returns what each new name stands for.
    """
    parameters: dict[str, dict[str, dict[str, str]]] = {}  # name -> digest -> parameter -> text
    digests = {}
    for row in rows:
        own = leaves(row.inputs.get(kind, {}))
        digests[row.key] = sha256(repr(sorted(own.items())).encode()).hexdigest()[:6]
        parameters.setdefault(getattr(row, kind), {})[digests[row.key]] = own
    several = {name: variants for name, variants in parameters.items() if len(variants) > 1}
    notes = [
        f"{name}@{digest}: {', '.join(f'{key} {own[key]}' for key in own if key in differing(variants))}"
        for name, variants in several.items()
        for digest, own in variants.items()
    ]
    names = {row.key: getattr(row, kind) for row in rows}
    names |= {key: f"{name}@{digests[key]}" for key, name in names.items() if name in several}
    return [replace(row, **{kind: names[row.key]}) for row in rows], notes


def differing(variants: Mapping[Any, Mapping[str, Any]]) -> dict[str, list[str]]:
    """The entries whose values are not all the same, with these values."""
    names = sorted({name for entries in variants.values() for name in entries})
    values = {
        name: sorted({str(entries.get(name, "absent")) for entries in variants.values()}) for name in names
    }
    return {name: texts for name, texts in values.items() if len(texts) > 1}


# Rows -> cells


def measured(rows: Iterable[Row], column: str) -> list[Row]:
    return [row for row in rows if row.status == "ok" and getattr(row, column) is not None]


def mean_of(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def last_line(reason: str | None) -> str:
    """What a traceback ends with."""
    lines = (reason or "").strip().splitlines()
    return lines[-1].strip() if lines else "no reason given"


def reason_of(row: Row, column: str) -> str | None:
    """Why a row does not count."""
    if row.status != "ok":
        return last_line(row.reason)
    return row.mi_reason if column == "mi" else None


def status_of(rows: Sequence[Row], n: int) -> str:
    if n:
        return "ok" if n == len(rows) else "partial"
    seen = {row.status for row in rows}
    found = (status for status in ("failed", "skipped") if status in seen)
    return next(found, "unmeasured" if rows else "missing")


def pool(setting: str, pair: tuple[str, str], rows: Sequence[Row], column: str) -> Cell:
    """The repetitions of one cell as one number."""
    values = [getattr(row, column) for row in measured(rows, column)]
    std = stdev(values) if len(values) > 1 else None
    reasons = dict.fromkeys(reason for row in rows if (reason := reason_of(row, column)))
    reason = "; ".join(reasons) or None
    return Cell(setting, *pair, mean_of(values), std, len(values), status_of(rows, len(values)), reason)


def gap_of(rows: Iterable[Row], clean: Iterable[Row]) -> float | None:
    """Mean of clean minus this over repetitions that clean has too; clean is crafted only once."""
    reference = {(row.poison_rep, row.rep): row.mi for row in measured(clean, "mi")}
    gaps = []
    for row in measured(rows, "mi"):
        other = reference.get((row.poison_rep, row.rep), reference.get((0, row.rep)))
        if other is not None and row.mi is not None:
            gaps.append(other - row.mi)
    return mean_of(gaps)


def accuracy_cells(setting: str, pairs: Pairs, groups: Groups) -> dict[tuple[str, str], Cell]:
    return {pair: pool(setting, pair, groups.get(pair, ()), "test_acc") for pair in pairs}


def mi_cells(setting: str, pairs: Pairs, groups: Groups) -> dict[tuple[str, str], Cell]:
    cells = {}
    for pair in pairs:
        rows, clean = groups.get(pair, ()), groups.get((REFERENCE, pair[1]), ())
        nulls = [row.mi_null for row in measured(rows, "mi") if row.mi_null is not None]
        cell = pool(setting, pair, rows, "mi")
        cells[pair] = replace(cell, gap=gap_of(rows, clean), null=mean_of(nulls))
    return cells


# Captions


def look_up(inputs: Mapping[str, Any], *path: str) -> str | None:
    """A leaf of a row's inputs as text; None where there is no such leaf."""
    value: Any = inputs
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return None if value is None or isinstance(value, Mapping) else str(value)


def circumstances(rows: Sequence[Row]) -> str:
    """What the rows of a setting share, in a line."""
    row = rows[0]
    known = {
        "profile {}": " and ".join(sorted({row.profile for row in rows})),
        "{} training images": look_up(row.inputs, "data", "train_images"),
        "victim {}": look_up(row.inputs, "net"),
        "surrogate {}": look_up(row.inputs, "surrogate"),
        "{} epochs": look_up(row.inputs, "victim", "epochs"),
        "precision {}": look_up(row.inputs, "precision"),
        "L-inf {}": budgets(rows),
        "test images prepared by the defense{}": "" if row.inputs.get("prepare_test") else None,
        "seed {}": look_up(row.inputs, "seed"),
        "setting {}": row.setting[:8],
    }
    data = f"{row.data} (synthetic)" if row.synthetic else row.data
    return ", ".join([data, *(phrase.format(value) for phrase, value in known.items() if value is not None)])


def budgets(rows: Iterable[Row]) -> str | None:
    """The methods' budgets in grey levels: 8/255; None where no row says."""
    found = {row.inputs.get("method", {}).get("eps") for row in rows} - {None, 0.0}
    return ", ".join(f"{255 * eps:g}/255" for eps in sorted(found)) or None


def span(numbers: Iterable[int]) -> str:
    """The least and the greatest: 3, or 1 to 3."""
    ordered = sorted(numbers)
    return " to ".join(str(number) for number in dict.fromkeys((ordered[0], ordered[-1])))


def repetitions(rows: Iterable[Row]) -> str:
    """How many repetitions a cell has, and which seeds they differ in; empty where all ran once."""
    groups = list(grouped(rows).values())
    varied = {
        "crafting": any(len({row.poison_rep for row in group}) > 1 for group in groups),
        "victim": any(len({row.rep for row in group}) > 1 for group in groups),
    }
    sources = " x ".join(name for name, varies in varied.items() if varies)
    return f"over {span(len(group) for group in groups)} {sources} seeds" if sources else ""


def mixture(rows: Iterable[Row]) -> str:
    """Which entries of the environment differ between rows that count; empty where none does."""
    ours = [row for row in rows if row.status == "ok"]
    crafting = {row.key: row.craft_environment for row in ours if row.craft_environment}
    mixed = differing({row.key: row.environment for row in ours})
    mixed |= {f"crafting {name}": values for name, values in differing(crafting).items()}
    said = ", ".join(f"{name} ({', '.join(values)})" for name, values in mixed.items())
    return f"mixed: {said}" if mixed else ""


def estimate(rows: Sequence[Row], cells: Iterable[Cell]) -> str:
    """The MI estimator with all that its numbers depend on."""
    if not rows:
        return "not measured"
    said = sorted({row.mi_estimator for row in rows if row.mi_estimator})
    for column, word in (("mi_images", "images"), ("mi_slices", "slices"), ("mi_rank", "dimensions")):
        numbers = [getattr(row, column) for row in measured(rows, column)]
        said += [f"{span(numbers)} {word}"] if numbers else []
    null = mean_of([cell.null for cell in cells if cell.null is not None])
    return ", ".join(said + ([] if null is None else [f"mean null {null:z.3f}"]))


def sentences(*parts: str) -> str:
    return " ".join(f"{part}." for part in parts if part)


# Rows -> tables


def tables_of_setting(
    rows: Sequence[Row], methods: Sequence[str] | None, defenses: Sequence[str] | None
) -> list[Table]:
    rows, notes = told_apart(rows, "method")
    rows, more = told_apart(rows, "defense")
    down = in_order((row.method for row in rows), methods, REFERENCE)
    across = in_order((row.defense for row in rows), defenses, UNDEFENDED)
    setting, pairs, groups = rows[0].setting, list(product(down, across)), grouped(rows)
    end = (circumstances(rows), mixture(rows))

    over = repetitions(measured(rows, "test_acc"))
    unit = "Test accuracy after the last epoch in percent" + (
        f", ± standard deviation {over}" if over else ""
    )
    cells = accuracy_cells(setting, pairs, groups)
    accuracy = Table("accuracy", setting, sentences(unit, *end), down, across, cells, notes + more)

    with_mi = measured(rows, "mi")
    over = repetitions(with_mi)
    unit = f"MI in nats (gap to {REFERENCE})" + (f", ± standard deviation {over}" if over else "")
    cells = mi_cells(setting, pairs, groups)
    intervals = "Intervals over images are in rows.csv" if measured(rows, "mi_low") else ""
    caption = sentences(unit, estimate(with_mi, cells.values()), intervals, *end)
    return [accuracy, Table("mi", setting, caption, down, across, cells, notes + more)]


def tables(rows: Iterable[Row], methods: Sequence[str] | None, defenses: Sequence[str] | None) -> list[Table]:
    """Two tables for each setting, whatever order the rows come in."""
    return [table for ours in by_setting(rows) for table in tables_of_setting(ours, methods, defenses)]


# Cells -> text


def text_of(cell: Cell, measure: str) -> str:
    """A cell for people. No space after ±, so that a narrow column breaks before it."""
    if cell.mean is None:
        return cell.status if cell.status in ("failed", "skipped") else "-"
    star = "*" if cell.status == "partial" else ""
    if measure == "accuracy":
        spread = "" if cell.std is None else f" ±{100 * cell.std:.1f}"
        return f"{100 * cell.mean:.1f}{star}{spread}"
    gap = "" if cell.gap is None or cell.method == REFERENCE else f" ({cell.gap:z.3f})"
    spread = "" if cell.std is None else f" ±{cell.std:.3f}"
    return f"{cell.mean:z.3f}{star}{spread}{gap}"


def note_of(cell: Cell) -> str:
    reason = cell.reason or ""
    short = reason if len(reason) <= LONGEST else reason[: LONGEST - 3] + "..."
    status = f"* the mean of {cell.n}; others" if cell.status == "partial" else cell.status
    return f"{cell.method} x {cell.defense}: {status}: {short}"
