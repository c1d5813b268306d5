"""Leaderboard -> tables for people, and derived files, like the tables: CSV, Markdown, LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import fill
from typing import Any

from bench.core.errors import BadInput
from bench.report import formats
from bench.report.prose import render
from bench.report.tables import DOUBTED, EARLY, ENDING, LONGEST, STOPPED, Table, ending, text_of
from bench.results import budgets
from bench.results.aggregate import Cell
from bench.results.describe import span
from bench.results.leaderboard import BITES, Leaderboard, MethodScores, leaderboard
from bench.results.replicates import LEARNS
from bench.results.rows import Row
from bench.results.select import CLEAN, by_threat

TEX = ("", "-accuracy", "-retained", "-beside", "-budgets")  # ends of the names of the tables' files
WORST = {"worst": "mean"} | {f"worst_{name}": name for name in ("low", "high", "std", "defense")}
OF_CELL = ("status", "reason", "mean", "low", "high", "std", "robust", "poisons", "n", "doubt")  # in the CSV
RENAMED = {"mean": "accuracy", "n": "reps"}
DERIVED = re.compile(rf"leaderboard{ENDING}({'|'.join(TEX)})\.(csv|md|tex)")
LEGEND = {  # column -> what it is
    "worst case": "the highest mean accuracy over the set of defenses, and under which: a defender chooses",
    "95 %": "Student's interval of that mean over poisons, of each the mean of its victims; of "
    f"{CLEAN}, which is one poison, over victims. It knows nothing of the choice among defenses",
    "mean": "over the set",
    "rank": "by the worst case, lowest first. A method shares the rank of the first method of a rank while "
    "their intervals overlap. A method with one poison, with a failed or missing cell, or with a cell whose "
    "victims did not learn has no rank, nor has a control; on synthetic images nobody has one",
    "poisons": "behind a cell, the fewest to the most",
    "val-selected, peak": "the highest over the set of the accuracy at the best validation epoch, and of "
    "that at the best epoch on test images, which nobody can choose; both on the curve's test subset, "
    "neither of a defense that acts after the training",
    "MI gap": "what published features do not tell of clean ones, of what could be told in the same victim, "
    "undefended, in nats",
    "seconds, MB of crafting": "the mean over poisons, and the largest peak of memory",
    "retained protection": "how much of the accuracy that the method costs undefended it still costs under "
    "a defense. Not confined to 0 to 100. Empty where the defense leaves clean images less than "
    f"{100 * LEARNS:g} points above chance, or where the method costs less than {100 * BITES:g} points "
    "undefended, or where victims did not learn",
    "threat model and what follows it": budgets.LEGEND,
}


@dataclass(frozen=True)
class LeaderboardTable(Table):
    """A table whose texts are made already; any columns in the place of the defenses."""

    lines: dict[str, list[str]] = field(default_factory=dict)
    said: str = ""  # below it: what it is of, in a paragraph

    def texts(self, method: str) -> list[str]:
        return self.lines[method]

    def notes(self) -> list[str]:
        return [self.said] * bool(self.said) + self.variants


def percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:z.1f}"


def marked(share: float | None, doubt: str | None) -> str:
    """Write a share in percent, with the sign of what is no verdict."""
    return percent(share) + (DOUBTED if doubt and share is not None else "")


def interval(cell: Cell | None) -> str:
    """Write it in percent: 8.1 to 16.5."""
    return "-" if cell is None or cell.low is None else f"{percent(cell.low)} to {percent(cell.high)}"


def leaderboards(
    rows: Sequence[Row], defenses: Sequence[str] | None = None, *, mix: bool = False
) -> tuple[list[Leaderboard], list[str]]:
    """Rank the methods of one setting, those of each threat model among themselves; mix: all together.

    Also returns why a threat model has no board. Raises BadInput where none has one.
    """
    found, refused = [], list[str]()
    for threat, ours in by_threat(rows, mix=mix):
        try:
            found.append(leaderboard(ours, defenses, threat))
        except BadInput as error:
            refused.append(f"{threat}: {error}" if threat else str(error))
    if not found:
        raise BadInput("; ".join(refused))
    return found, refused


# What is said


def summary(board: Leaderboard) -> str:
    """Say what the ranking is of, in a paragraph."""
    dropped, uncounted = (
        [f"{name} ({reason})" for name, reason in found.items()] for found in (board.dropped, board.uncounted)
    )
    ranked = any(s.rank is not None for s in board.methods)
    return render(__name__, board=board, ranked=ranked, dropped=dropped, uncounted=uncounted).rstrip()


def notes(board: Leaderboard) -> list[str]:
    """Say what names stand for, and which cells keep methods from a rank or are no verdict."""
    said = {s.method if s.control else f"{s.method}: unranked": s.lacks or s.doubts for s in board.methods}
    return board.variants + [
        f"{who}: {why if len(why) <= 2 * LONGEST else why[: 2 * LONGEST - 3] + '...'}"
        for who, why in said.items()
        if why
    ]


# Leaderboard -> tables


def tables_of(board: Leaderboard) -> list[LeaderboardTable]:
    """Tabulate the ranking, accuracy and retained protection under each defense, and what stands beside."""

    budget = {s.method: s.budget.texts for s in board.methods}
    mixed = budget if board.mixed else {}

    def table(caption: str, columns: list[str], lines: dict[str, list[str]], **more: Any) -> LeaderboardTable:
        own = {"caption": caption, "methods": [*lines], "defenses": columns, "lines": lines, "variants": []}
        return LeaderboardTable("leaderboard", board.setting, cells={}, **own | more)

    across, methods = board.defenses, board.methods
    accuracy = {s.method: [text_of(cell, "accuracy") for cell in s.cells] for s in methods}
    stopped = any(s.early is not None for s in methods)
    if stopped:
        accuracy = {s.method: [*accuracy[s.method], marked(s.early, s.early_doubt)] for s in methods}
    retained = {s.method: [percent(x.retained) for x in s.scores.values()] for s in methods}
    formula = f"({CLEAN}_d - method_d) / ({CLEAN}_none - method_none)"
    ranking, beside = ({s.method: line(s) for s in methods} for line in (_ranking, _beside))
    what = "Validation-selected and peak accuracy in percent, MI gap in nats, crafting in seconds and MB"
    columns, first = ["rank", "worst case (under)", "95 %", "mean", "poisons"], f"Leaderboard: {board.about}."
    attack = ", in brackets under PGD-20" if any(cell.robust for s in methods for cell in s.cells) else ""
    spread = f", ± standard deviation {board.repetitions}" if board.repetitions else ""
    return [
        table(first, columns, ranking, variants=notes(board), said=summary(board), budgets=mixed),
        table(
            f"Final test accuracy in percent under each defense{spread}{attack}." + f" {STOPPED}." * stopped,
            [*across, *([EARLY] if stopped else [])],
            accuracy,
            budgets=mixed,
        ),
        table(f"Retained protection in percent under each defense d: {formula}.", across, retained),
        table(f"{what} on {board.crafted_on}.", ["val-selected", "peak", "MI gap", "seconds", "MB"], beside),
        table(budgets.CAPTION, [*budgets.HEAD], budget),
    ]


def _ranking(s: MethodScores) -> list[str]:
    worst = s.worst and text_of(replace(s.worst, std=None, robust=None), "accuracy")
    return [
        "control" if s.control else str(s.rank or "-"),
        f"{worst} ({s.worst.defense})" if s.worst else "-",
        interval(s.worst),
        marked(s.mean, s.doubts),
        span(cell.poisons for cell in s.cells),
    ]


def _beside(s: MethodScores) -> list[str]:
    numbers = ((s.mi_gap, "z.3f"), (s.craft_seconds, ".1f"), (s.craft_peak_mb, ".0f"))
    return [
        *(marked(s.highest(column), s.doubts) for column in ("val_selected", "peak")),
        *("-" if number is None else format(number, form) for number, form in numbers),
    ]


# Leaderboard -> files


def records(board: Leaderboard) -> Iterator[dict[str, Any]]:
    """Yield a line of the CSV for each method under each defense: shares in [0,1], nats, seconds, MB."""
    for s in board.methods:
        for defense, x in s.scores.items():
            yield {
                "setting": board.setting,
                "data": board.data,
                "classes": board.classes,
                "chance": board.chance,
                "defenses": " ".join(board.defenses),
                "defenses_hash": board.digest,
                "dropped": " ".join(board.dropped),
                "uncounted": " ".join(board.uncounted),
                "method": s.method,
                "control": s.control,
                "threat": s.budget.threat or None,
                **s.budget.measured,
                "rank": s.rank,
                "unranked": s.unranked,
                **{column: getattr(s.worst, name, None) for column, name in WORST.items()},
                "mean": s.mean,
                "highest_val_selected": s.highest("val_selected"),
                "highest_peak": s.highest("peak"),
                "undefended_mi_gap": s.mi_gap,
                "craft_seconds": s.craft_seconds,
                "craft_peak_mb": s.craft_peak_mb,
                "defense": defense,
                **{RENAMED.get(name, name): getattr(x.cell, name) for name in OF_CELL},
                **{name: getattr(x, name) for name in ("val_selected", "peak", "mi_gap", "retained")},
            }


def markdown(board: Leaderboard) -> str:
    first, *others = tables_of(board)
    legend = [fill(f"- **{name}**: {text}.", 110, subsequent_indent="  ") for name, text in LEGEND.items()]
    top = [f"# Leaderboard: {board.about}\n", formats.captioned(replace(first, said="")), first.said, ""]
    return "\n".join([*top, *map(formats.captioned, others), *legend, ""])


def write_leaderboard(board: Leaderboard, out: Path, *, several: bool = False) -> list[Path]:
    """Write it as CSV and Markdown, and each of its tables as LaTeX. several: whether there are settings."""
    stem = "leaderboard" + ending(board.setting, board.threat, several=several)
    texts = {f"{stem}.csv": formats.csv(records(board)), f"{stem}.md": markdown(board)}
    for end, table in zip(TEX, tables_of(board), strict=True):
        texts[f"{stem}{end}.tex"] = formats.latex(table, stem + end)
    written = formats.write(texts, out)
    for (
        path
    ) in out.iterdir():  # of before there were several settings or threat models, or of when there were
        found = DERIVED.fullmatch(path.name)
        ours = found and found[1] in (None, f"-{board.setting[:8]}")
        if found and (bool(found[1]) != several or (ours and bool(found[2]) != bool(board.threat))):
            path.unlink()
    return written
