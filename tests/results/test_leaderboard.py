"""The leaderboard from hand-made rows: who ranks, who does not and why, and what the files say."""

from __future__ import annotations

import io
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console
from scipy.stats import ttest_1samp

from bench.cli.main import main
from bench.core.errors import BadInput
from bench.report.formats import show
from bench.report.leaderboard import tables_of, write_leaderboard
from bench.results.leaderboard import BITES, Leaderboard, MethodScores, leaderboard, ranks, retained
from bench.results.replicates import LEARNS
from bench.results.rows import Row, save
from bench.results.select import in_order
from support.rows import INPUTS, OTHER, SETTING, keyed, row

DEFENSES = ("none", "cutout", "at-8")
ACCURACIES = {  # under DEFENSES
    "clean": (0.9, 0.8, 0.7),
    "em": (0.2, 0.3, 0.6),
    "tap": (0.1, 0.5, 0.2),
    "mi-ue": (0.4, 0.4, 0.4),
}


def cell(method: str, defense: str, acc: float | None = None, poison_rep: int = 0, **values: Any) -> Row:
    """A row of photographs of ten classes; clean is a control, and one poison."""
    plain = {"control": method == "clean", "classes": 10, "test_acc": acc, "synthetic": False} | values
    seeds = {"rep": poison_rep} if method == "clean" else {"poison_rep": poison_rep}
    return row(method, defense, **seeds | plain)


def poisons(method: str, defense: str, acc: float, **values: Any) -> list[Row]:
    """Two poisons that differ by 0.2 points."""
    return [cell(method, defense, acc + off, n, **values) for n, off in enumerate((-0.001, 0.001))]


def matrix() -> list[Row]:
    return [
        own
        for method, accs in ACCURACIES.items()
        for defense, acc in zip(DEFENSES, accs, strict=True)
        for own in poisons(method, defense, acc)
    ]


def without(method: str, defense: str) -> list[Row]:
    return [r for r in matrix() if (r.method, r.defense) != (method, defense)]


def repeated(accuracies: dict[str, tuple[float, ...]]) -> list[Row]:
    """Poisons of each method under one defense."""
    return [cell(m, "none", a, rep) for m, accs in accuracies.items() for rep, a in enumerate(accs)]


def of(board: Leaderboard, method: str) -> MethodScores:
    return {s.method: s for s in board.methods}[method]


def ranking(board: Leaderboard) -> dict[str, int | None]:
    return {s.method: s.rank for s in board.methods}


def rendered(board: Leaderboard, width: int = 80) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    show(tables_of(board), console)
    return console.export_text()


def texts(board: Leaderboard, folder: Path) -> dict[str, str]:
    """What is said in each format for people, in one line."""
    files = {path.name: path.read_text() for path in write_leaderboard(board, folder)}
    tex = "\n".join(text for name, text in files.items() if name.endswith(".tex"))
    shown = {"terminal": rendered(board), "md": files["leaderboard.md"], "tex": tex}
    return {name: " ".join(text.split()) for name, text in shown.items()}


# Who ranks


def test_the_highest_accuracy_over_the_defenses_ranks() -> None:
    board = leaderboard(matrix())
    assert ranking(board) == {"mi-ue": 1, "tap": 2, "em": 3, "clean": None}
    assert [s.method for s in board.methods] == ["mi-ue", "tap", "em", "clean"]
    em = of(board, "em")
    assert em.worst is not None and (em.worst.mean, em.worst.defense) == (pytest.approx(0.6), "at-8")
    assert em.mean == pytest.approx((0.2 + 0.3 + 0.6) / 3)


def test_the_declared_set_decides() -> None:
    board = leaderboard(matrix(), ["none", "cutout"])
    assert ranking(board) == {"em": 1, "mi-ue": 2, "tap": 3, "clean": None}
    assert board.defenses == ["none", "cutout"]


def test_what_the_declared_set_leaves_out_is_said(tmp_path: Path) -> None:
    board = leaderboard(without("em", "at-8"), ["none", "cutout"])
    assert (ranking(board)["em"], board.left_out) == (1, ["at-8"])
    for text in texts(board, tmp_path).values():
        assert "Set of defenses: none, cutout (hash" in text
        assert "Not in the set, though there are rows: at-8." in text
    assert not any("Not in the set" in text for text in texts(leaderboard(matrix()), tmp_path).values())


def test_the_defender_chooses_one_defense_for_all_repetitions() -> None:
    accs = {"none": (0.2, 0.6), "cutout": (0.5, 0.1)}
    rows = [cell("em", d, a, rep) for d, pair in accs.items() for rep, a in enumerate(pair)]
    worst = of(leaderboard(rows), "em").worst
    assert worst is not None and worst.defense == "none"
    assert worst.mean == pytest.approx(0.4)  # not the mean of 0.5 and 0.6
    assert worst.std == pytest.approx(0.4 / 2**0.5) and worst.n == 2


def test_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    rows = [*matrix(), *(cell(m, d, 0.45, 2) for m in ACCURACIES for d in DEFENSES)]
    first = [path.read_bytes() for path in write_leaderboard(leaderboard(rows), tmp_path)]
    random.Random(0).shuffle(rows)
    assert [path.read_bytes() for path in write_leaderboard(leaderboard(rows), tmp_path)] == first


# Ties


@pytest.mark.parametrize(
    ("worst", "expected"),
    [
        ({"a": (0.10, 0.08, 0.12), "b": (0.15, 0.12, 0.18)}, {"a": 1, "b": 1}),  # they touch
        ({"a": (0.10, 0.08, 0.12), "b": (0.15, 0.121, 0.179)}, {"a": 1, "b": 2}),
        ({"b": (0.3, 0.3, 0.3), "a": (0.3, 0.3, 0.3)}, {"a": 1, "b": 1}),
        # a-b and b-c meet, a-c do not
        (
            {"a": (0.10, 0.07, 0.13), "b": (0.14, 0.11, 0.17), "c": (0.18, 0.15, 0.21)},
            {"a": 1, "b": 1, "c": 3},
        ),
        # a noisy method neither overtakes others nor ties those that can be told apart
        (
            {"a": (0.1, 0.1, 0.1), "b": (0.2, 0.2, 0.2), "noisy": (0.5, 0.15, 0.85)},
            {"a": 1, "b": 2, "noisy": 2},
        ),
        ({}, {}),
    ],
)
def test_intervals_that_meet_share_a_rank(
    worst: dict[str, tuple[float, float, float]], expected: dict[str, int]
) -> None:
    assert ranks(worst) == expected
    assert ranks(dict(reversed(worst.items()))) == expected


def test_ranks_never_fall_as_accuracy_rises() -> None:
    draw = random.Random(0)
    for _ in range(200):
        means = {f"m{i}": (draw.random(), draw.choice((0.0, 0.02, 0.3))) for i in range(8)}
        worst = {m: (mean, mean - off, mean + off) for m, (mean, off) in means.items()}
        found = ranks(worst)
        places = [found[m] for m in sorted(worst, key=lambda m: worst[m])]
        assert places[0] == 1 and places == sorted(places)
        assert all(rank == places.index(rank) + 1 for rank in places)


def test_poisons_tie_what_one_poison_would_order() -> None:
    rows = repeated({"a": (0.30, 0.31), "b": (0.30, 0.32), "c": (0.80, 0.81)})
    assert ranking(leaderboard(rows)) == {"a": 1, "b": 1, "c": 3}
    assert set(ranking(leaderboard([r for r in rows if r.poison_rep == 0])).values()) == {None}


def test_victims_of_one_poison_are_no_order(tmp_path: Path) -> None:
    """However many there are, and however far apart: another poison may do otherwise."""
    rows = [
        replace(r, poison_rep=0, rep=r.poison_rep) for r in repeated({"a": (0.1, 0.11), "b": (0.8, 0.81)})
    ]
    board = leaderboard(rows)
    assert ranking(board) == {"a": None, "b": None} and of(board, "a").unranked == "one poison"
    for text in texts(board, tmp_path).values():
        assert "One poison a method: no order." in text
    some = leaderboard([*rows, *repeated({"c": (0.4, 0.41), "d": (0.9, 0.91)})])
    assert ranking(some) == {"c": 1, "d": 2, "a": None, "b": None}
    assert some.no_order == "one poison of a, b: no order of them"
    assert not any("no order" in text for text in texts(leaderboard(matrix()), tmp_path).values())


def test_rendered_images_rank_nothing(tmp_path: Path) -> None:
    board = leaderboard([replace(r, synthetic=True) for r in matrix()])
    assert set(ranking(board).values()) == {None}
    assert [s.method for s in board.methods] == ["em", "mi-ue", "tap", "clean"]  # by name: this is no order
    for text in texts(board, tmp_path).values():
        assert "Synthetic images: no order." in text


def test_the_interval_is_over_poisons_and_stands_in_every_file(tmp_path: Path) -> None:
    """Victims of a poison are averaged first: three victims that scatter widen nothing."""
    means, off = (0.30, 0.34, 0.35), (-0.2, 0.0, 0.2)
    rows = [
        cell("em", "none", mean + d, n, rep=rep) for n, mean in enumerate(means) for rep, d in enumerate(off)
    ]
    board = leaderboard([*rows, *repeated({"tap": (0.8, 0.81)})])
    worst, interval = of(board, "em").worst, ttest_1samp(means, 0).confidence_interval(0.95)
    assert worst is not None and (worst.poisons, worst.n) == (3, 9)
    assert (worst.low, worst.high) == pytest.approx((interval.low, interval.high))
    said = f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"
    assert all(said in text for text in texts(board, tmp_path).values())
    table = pd.read_csv(tmp_path / "leaderboard.csv").set_index("method")
    for name in ("low", "worst_low"):
        assert table[name]["em"] == worst.low
    assert table.poisons["em"] == 3 and table.worst_high["em"] == worst.high


def test_the_table_comes_first_and_notes_follow() -> None:
    lines = rendered(leaderboard(matrix())).splitlines()
    (place,) = (n for n, line in enumerate(lines) if line.startswith("mi-ue") and "40.0 (" in line)
    assert place < 8 and not any("Set of defenses" in line for line in lines[:place])


def test_the_bias_of_a_maximum_is_said(tmp_path: Path) -> None:
    for text in texts(leaderboard(matrix()), tmp_path).values():
        assert "maximum over noisy cells, which biases it upward" in text


# Who does not rank


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "at-8 missing"),
        (
            [cell("mi-ue", "at-8", status="failed", reason="Trace\nRuntimeError: x_1")],
            "at-8 failed (RuntimeError: x_1)",
        ),
        ([cell("mi-ue", "at-8")], "at-8 unmeasured"),
        (
            [cell("mi-ue", "at-8", 0.1), cell("mi-ue", "at-8", None, 1, status="failed", reason="lost")],
            "at-8 partial (lost)",
        ),
    ],
)
def test_a_cell_that_is_not_whole_leaves_its_method_unranked(
    tmp_path: Path, rows: list[Row], reason: str
) -> None:
    board = leaderboard([*without("mi-ue", "at-8"), *rows])
    assert ranking(board) == {"tap": 1, "em": 2, "mi-ue": None, "clean": None}
    scores = of(board, "mi-ue")
    assert (scores.unranked, scores.worst, scores.mean) == (reason, None, None)
    said = texts(board, tmp_path)
    assert f"mi-ue: unranked: {reason}" in said["terminal"] and f"mi-ue: unranked: {reason}" in said["md"]
    assert f"mi-ue: unranked: {reason}" in said["tex"].replace(r"\_", "_")
    table = pd.read_csv(tmp_path / "leaderboard.csv")
    assert {*table[table.method == "mi-ue"].unranked} == {reason}


def test_one_reason_for_all_cells_is_said_once() -> None:
    rows = [r for r in matrix() if r.method != "em"]
    rows += [cell("em", d, status="failed", reason="no luck") for d in DEFENSES]
    assert of(leaderboard(rows), "em").unranked == "none, at-8, cutout failed (no luck)"


def test_a_skipped_defense_is_dropped_for_all(tmp_path: Path) -> None:
    skipped = [cell(m, "iss-gray", status="skipped", reason="images are gray") for m in ACCURACIES]
    with_it, without_it = leaderboard([*matrix(), *skipped[:3]]), leaderboard(matrix())
    assert ranking(with_it) == ranking(without_it)
    assert (with_it.defenses, with_it.digest) == (without_it.defenses, without_it.digest)
    assert with_it.dropped == {"iss-gray": "images are gray"}
    for text in texts(with_it, tmp_path).values():
        assert "Dropped for all, as skipped for this data set: iss-gray (images are gray)." in text
    with pytest.raises(BadInput, match="images are gray"):
        leaderboard([*matrix(), *skipped], ["iss-gray"])


def test_where_clean_learns_too_little_nothing_is_counted(tmp_path: Path) -> None:
    weak = [*(cell(m, "cut", 0.1, n) for m in ACCURACIES for n in range(2))]
    board, without_it = leaderboard([*matrix(), *weak]), leaderboard(matrix())
    assert board.defenses == without_it.defenses and ranking(board) == ranking(without_it)
    assert board.uncounted == {"cut": "did not learn: 10.0 % of the test images, chance 10.0 %"}
    for text in texts(board, tmp_path).values():
        said = text.replace("\\%", "%")
        assert "clean victims learn too little there: cut (did not learn: 10.0 % of the test images" in said
    with pytest.raises(BadInput, match=r"no defense to rank over: cut \(did not learn"):
        leaderboard(weak)


def test_victims_that_did_not_learn_have_no_rank(tmp_path: Path) -> None:
    rows = [
        replace(r, train_acc=0.142 if (r.method, r.defense) == ("mi-ue", "at-8") else 0.9) for r in matrix()
    ]
    board = leaderboard(rows)
    assert ranking(board) == {"tap": 1, "em": 2, "mi-ue": None, "clean": None}
    doubt = "did not learn: 14.2 % of the images it was shown, chance 10.0 %"
    assert of(board, "mi-ue").unranked == f"at-8: {doubt}"
    assert f"mi-ue: unranked: at-8: {doubt}" in texts(board, tmp_path)["terminal"]
    table = pd.read_csv(tmp_path / "leaderboard.csv").set_index(["method", "defense"])
    assert table.doubt["mi-ue", "at-8"] == doubt and pd.isna(table.doubt["mi-ue", "none"])


def test_a_cell_that_did_not_learn_protects_nothing_and_is_marked_wherever_it_counts(tmp_path: Path) -> None:
    low = [replace(r, train_acc=0.14) if (r.method, r.defense) == ("em", "at-8") else r for r in matrix()]
    board = leaderboard(low)
    em = of(board, "em")
    assert em.scores["at-8"].retained is None and em.scores["cutout"].retained is not None
    said = texts(board, tmp_path)["md"]
    assert re.search(r"\| em \| - \| 60\.0‡ \(at-8\) \| 58\.7 to 61\.3 \| 36\.7‡ \|", said)
    undefended = [
        replace(r, train_acc=0.14) if (r.method, r.defense) == ("em", "none") else r for r in matrix()
    ]
    assert of(leaderboard(undefended), "em").early_doubt is not None


def test_controls_are_shown_and_unranked(tmp_path: Path) -> None:
    rows = [*matrix(), *(cell("noise", d, 0.0, control=True) for d in DEFENSES)]
    board = leaderboard(rows)
    assert ranking(board) == {"mi-ue": 1, "tap": 2, "em": 3, "noise": None, "clean": None}
    assert of(board, "noise").unranked == "control"
    assert re.search(r"^noise +control +0\.0", rendered(board), re.M)
    assert "| clean | control | 90.0 (none) |" in texts(board, tmp_path)["md"]


# What else there is for each method


def test_retained_protection() -> None:
    board = leaderboard(matrix())
    left = {d: score.retained for d, score in of(board, "em").scores.items()}
    assert left == pytest.approx({"none": 1.0, "cutout": 0.5 / 0.7, "at-8": 0.1 / 0.7})
    assert {score.retained for score in of(board, "clean").scores.values()} == {None}


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_retained_protection_needs_something_to_protect(classes: int) -> None:
    chance = 1 / classes
    least = chance + LEARNS
    assert retained(0.9, least, 0.5, 0.1, chance=chance) == pytest.approx((least - 0.1) / 0.4)
    assert retained(0.9, least - 0.001, 0.5, 0.1, chance=chance) is None
    assert retained(0.9, 0.9, 0.9 - BITES, 0.95, chance=chance) == pytest.approx(-0.05 / BITES)
    assert retained(0.9, 0.9, 0.9 - BITES + 0.001, 0.95, chance=chance) is None
    assert retained(0.9, 0.9, 1.0, 0.5, chance=chance) is None
    assert retained(None, 0.9, 0.1, 0.1, chance=chance) is None


def test_retained_protection_reads_clean_under_none_whatever_the_set() -> None:
    board = leaderboard(matrix(), ["at-8"])
    assert of(board, "tap").scores["at-8"].retained == pytest.approx(0.5 / 0.8)


def test_what_stands_beside(tmp_path: Path) -> None:
    facts: dict[str, Any] = {"craft_peak_mb": 900.0, "mi": 0.5, "val_selected_acc": 0.25, "peak_acc": 0.5}
    rows = [
        cell("clean", "none", 0.9, mi=0.7),
        cell("em", "none", 0.2, craft_seconds=10.0, mi_gap=0.1, **facts),
        cell("em", "none", 0.4, 1, craft_seconds=20.0, mi_gap=0.3, **facts | {"craft_peak_mb": 950.0}),
        cell("clean", "at-8", 0.9, mi=0.9),
        cell("em", "at-8", 0.3, mi_gap=0.4, **facts | {"val_selected_acc": 0.75, "peak_acc": 0.875}),
    ]
    board = leaderboard(rows)
    em = of(board, "em")
    assert em.mi_gap == pytest.approx(0.2) and em.scores["at-8"].mi_gap == pytest.approx(0.4)
    assert (em.craft_seconds, em.craft_peak_mb) == (15.0, 950.0)
    assert (em.highest("val_selected"), em.highest("peak")) == (0.75, 0.875)
    said = texts(board, tmp_path)["md"]
    assert "| em | 75.0 | 87.5 | 0.200 | 15.0 | 950 |" in said
    assert re.search(r"\| method *\| none *\| at-8 *\| early-stop *\|", said) and em.early == 0.25


def test_a_defense_without_an_early_stop_leaves_that_of_the_others() -> None:
    own = {"val_selected_acc": 0.25, "peak_acc": 0.5}
    rows = [cell(m, d, 0.3, **own if d == "none" else {}) for m in ("clean", "em") for d in ("none", "probe")]
    em = of(leaderboard(rows, ["none", "probe"]), "em")
    assert (em.highest("val_selected"), em.scores["probe"].val_selected, em.early) == (0.25, None, 0.25)


def test_seconds_and_memory_of_crafting_stand_beside_their_device(tmp_path: Path) -> None:
    """Also where all rows agree: the victims' device is another fact."""
    gpu, cpu = {"device": "cuda H100", "processor": "P"}, {"device": "cpu x86_64", "processor": "P 9000"}
    own = [replace(r, environment=cpu, craft_environment=gpu, craft_seconds=7.0) for r in matrix()]
    for text in texts(leaderboard(own), tmp_path).values():
        assert "crafting in seconds and MB on cuda H100." in text
    both = [replace(own[0], craft_environment=cpu), *own[1:]]
    assert leaderboard(both).crafted_on == "cpu x86_64 (P 9000) and cuda H100"
    untimed = replace(own[0], craft_seconds=None, craft_environment=cpu)
    assert leaderboard([untimed, *own[1:]]).crafted_on == "cuda H100"
    assert "not recorded" in leaderboard(matrix()).crafted_on


def test_hash_is_of_the_set() -> None:
    def digest(defenses: list[str], rows: list[Row] | None = None) -> str:
        return leaderboard(rows or matrix(), defenses).digest

    assert digest(["none", "at-8"]) == digest(["at-8", "none"]) == digest(["at-8", "none", "at-8"])
    assert digest([*DEFENSES]) == leaderboard(matrix()).digest
    assert len({digest(["none"]), digest(["at-8"]), digest(["none", "at-8"])}) == 3
    other = [replace(r, inputs=r.inputs | {"defense": {"name": r.defense, "steps": 3}}) for r in matrix()]
    assert digest(["at-8"], other) != digest(["at-8"])
    assert digest(["at-8"], [r for r in matrix() if r.method == "em"]) == digest(["at-8"])


def test_other_parameters_are_other_methods() -> None:
    rows = [
        own
        for d in DEFENSES
        for steps in (5, 10)
        for own in poisons("em", d, 0.2 if steps == 5 else 0.6, inputs=INPUTS | {"method": {"steps": steps}})
    ]
    board = leaderboard(rows)
    assert [s.rank for s in board.methods] == [1, 2]
    assert sorted(re.sub("@.*:", ":", note) for note in board.variants) == ["em: steps 10", "em: steps 5"]


# Files


AWKWARD = "a_b&c|d"  # names and reasons that LaTeX and Markdown would stumble over
REASON = "{x} ~ $5 #1 ^2 \\n"


def noisy() -> list[Row]:
    """Two poisons of all methods under four defenses, and one method that failed under one."""
    rows = [cell(m, d, a) for m, accs in ACCURACIES.items() for d, a in zip(DEFENSES, accs, strict=True)]
    rows += [cell(m, "50%", 0.3) for m in ACCURACIES]
    rows += [cell(m, d, 0.5, 1) for m in ACCURACIES for d in (*DEFENSES, "50%")]
    return [*rows, cell(AWKWARD, "none", 0.3), cell(AWKWARD, "50%", status="failed", reason=REASON)]


def test_csv_is_tidy_and_round_trips(tmp_path: Path) -> None:
    board = leaderboard(noisy())
    write_leaderboard(board, tmp_path)
    table = pd.read_csv(tmp_path / "leaderboard.csv", dtype={"setting": str, "defenses_hash": str})
    assert len(table) == len(board.methods) * len(board.defenses)
    assert not table.duplicated(["method", "defense"]).any()
    for s in board.methods:
        for defense, score in s.scores.items():
            (line,) = table[(table.method == s.method) & (table.defense == defense)].itertuples()
            pairs = {
                "accuracy": score.cell.mean,
                "std": score.cell.std,
                "retained": score.retained,
                "rank": s.rank,
                "worst": s.worst and s.worst.mean,
                "mean": s.mean,
            }
            for column, value in pairs.items():
                read = getattr(line, column)
                assert pd.isna(read) if value is None else read == value, column
            assert (line.control, line.reps, line.status) == (s.control, score.cell.n, score.cell.status)
    assert {*table.setting} == {SETTING} and {*table.defenses_hash} == {board.digest}
    assert table.defenses[0].split() == board.defenses


def test_set_and_hash_are_in_every_file(tmp_path: Path) -> None:
    board = leaderboard(matrix())
    for text in texts(board, tmp_path).values():
        assert f"Set of defenses: none, at-8, cutout (hash {board.digest})." in text


def test_markdown_tables_have_equal_lines(tmp_path: Path) -> None:
    write_leaderboard(leaderboard(noisy()), tmp_path)
    text = (tmp_path / "leaderboard.md").read_text()
    tables = re.findall(r"(?:^\|.*\n)+", text, re.M)
    assert len(tables) == 5
    for table in tables:
        widths = {len(re.split(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1 and len(table.splitlines()) == 2 + 5
    assert re.search(r"^\| mi-ue \| 1 \| 45\.0 \(\S+\) \| \S+ to \S+ \| 43\.8 \| 2 \|$", text, re.M)


def test_latex_is_well_formed(tmp_path: Path) -> None:
    write_leaderboard(leaderboard(noisy()), tmp_path)
    files = {path.stem: path.read_text() for path in tmp_path.glob("*.tex")}
    assert all(rf"\label{{tab:{name}}}" in own and own.count(r"\label") == 1 for name, own in files.items())
    text = "\n".join(files.values())
    assert r"a\_b\&c\textbar{}d" in text and r"50\%" in text and re.search(r"45\.0 +\$\\pm\$ *7\.1", text)
    assert r"\{x\} \textasciitilde{} \$5 \#1 \textasciicircum{}2 \textbackslash{}n" in text
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    plain = re.sub(r"\\[{}%&$#_]", "", body)
    assert plain.count("{") == plain.count("}") and plain.count("$") % 2 == 0
    assert not re.search(r"[%#~^|±]", plain) and "_" not in plain
    opened, closed = (re.findall(rf"\\{which}{{(\w+)}}", plain) for which in ("begin", "end"))
    assert sorted(opened) == sorted(closed)
    assert opened.count("table") == 5 and opened.count("tabular") >= 5  # what is wide stands in parts
    for columns, rules in re.findall(r"\\begin{tabular}{(\w+)}(.*?)\\end{tabular}", plain, re.S):
        lines = [line for line in rules.splitlines() if line.endswith(r"\\")]
        assert len(lines) == 1 + 5 and {line.count("&") for line in lines} == {len(columns) - 1}
        assert [rules.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_it_fits_the_terminal_and_cuts_no_number(width: int) -> None:
    more = [f"defense-{i}" for i in range(12)]
    rows = [
        cell(m, d, 0.4 + 0.01 * i, rep) for m in ACCURACIES for i, d in enumerate(more) for rep in range(2)
    ]
    board = leaderboard(rows)
    narrow, wide = rendered(board, width), rendered(board, 500)
    assert max(len(line.rstrip()) for line in narrow.splitlines()) <= width
    numbers = [sorted(re.findall(r"(?<!\S)-?\d+\.\d+(?!\S)|±\S+", text)) for text in (narrow, wide)]
    assert numbers[0] == numbers[1] and len(numbers[0]) >= len(rows)


@pytest.mark.parametrize("rows", [matrix(), noisy(), without("clean", "none"), [cell("em", "none")]])
def test_never_nan(tmp_path: Path, rows: list[Row]) -> None:
    board = leaderboard(rows)
    said = [rendered(board), *(path.read_text() for path in write_leaderboard(board, tmp_path))]
    assert not any(re.search(r"\b(nan|None|(?<!L-)inf)\b|-0\.0+\b", text) for text in said)
    assert len(tables_of(board)) == 5


# The verb


def stored(folder: Path, rows: list[Row]) -> Path:
    (folder / "rows").mkdir(parents=True)
    for one in rows:
        save(keyed(one), folder / "rows")
    return folder


def refused(asked: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that bad input gives."""
    assert main(["leaderboard", *asked]) == 2
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith("bench: ") and not said.out
    return line


FILES = {"leaderboard.csv", "leaderboard.md"}
FILES |= {f"leaderboard{table}.tex" for table in ("", "-accuracy", "-retained", "-beside", "-budgets")}


def test_the_verb_writes_the_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = stored(tmp_path, matrix())
    assert main(["leaderboard", str(out), "--defenses", "cutout, none"]) == 0
    assert {path.name for path in out.iterdir()} == FILES | {"rows"}
    table = pd.read_csv(out / "leaderboard.csv")
    assert {*table.defenses} == {"cutout none"}
    assert table[table["rank"] == 1].method.unique().tolist() == ["em"]
    assert "leaderboard.tex" in capsys.readouterr().out


NO_TORCH = """\
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ImportError(f"{name} is not there")

sys.meta_path.insert(0, NoTorch())
try:
    import torch
except ImportError:
    from bench.cli.main import main
    sys.exit(main(sys.argv[1:]))
sys.exit("torch was there all the same")
"""


def test_needs_no_torch(tmp_path: Path) -> None:
    out = stored(tmp_path, matrix())
    command = [sys.executable, "-c", NO_TORCH, "leaderboard", str(out)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert (out / "leaderboard.md").exists()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--setting", "12"], "unknown setting '12'"),
        (["--defenses", "cutot"], "unknown defense 'cutot'; did you mean 'cutout'?"),
        (["--defenses", ","], "--defenses names none"),
    ],
)
def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], says: str) -> None:
    out = stored(tmp_path, matrix())
    assert says in refused([str(out), *more], capsys)
    assert {path.name for path in out.iterdir()} == {"rows"}


def test_files_of_another_shape_of_folder_go(tmp_path: Path) -> None:
    out = stored(tmp_path, matrix())
    assert main(["leaderboard", str(out)]) == 0
    other = [keyed(replace(r, setting="f" * 64)) for r in matrix()]
    for r in other:
        save(r, out / "rows")
    setting = other[0].setting[:8]
    assert main(["leaderboard", str(out), "--setting", setting]) == 0
    assert {p.name for p in out.glob("leaderboard*")} == {
        name.replace("leaderboard", f"leaderboard-{setting}") for name in FILES
    }


def test_no_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "has no rows/" in refused([str(tmp_path)], capsys)
    assert "is empty" in refused([str(stored(tmp_path, []))], capsys)


def test_one_setting_at_a_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    longer = INPUTS["victim"] | {"epochs": 60}
    other = [keyed(replace(r, inputs=keyed(r).inputs | {"victim": longer}, setting=OTHER)) for r in matrix()]
    first, second = keyed(matrix()[0]).setting[:8], other[0].setting[:8]
    out = stored(tmp_path, [*matrix(), *other[:12]])
    said = refused([str(out)], capsys)
    assert "2 settings" in said and f"{first} (" in said and "victim.epochs 30)" in said
    assert f"{second} (" in said and "victim.epochs 60)" in said
    assert "ambiguous" in refused([str(out), "--setting", ""], capsys)
    assert {path.name for path in out.iterdir()} == {"rows"}
    assert main(["leaderboard", str(out), "--setting", second]) == 0
    (path,) = out.glob("*.csv")
    assert path.name == f"leaderboard-{second}.csv"
    assert {*pd.read_csv(path).method} == {"clean", "em"}


def test_numbers_in_names_count_as_numbers() -> None:
    names = ["iss-jpeg50", "iss-jpeg5", "at-8", "none", "iss-jpeg10", "em@b2", "em@a10"]
    ordered = ["none", "at-8", "em@a10", "em@b2", "iss-jpeg5", "iss-jpeg10", "iss-jpeg50"]
    assert in_order(names, None, "none") == ordered
