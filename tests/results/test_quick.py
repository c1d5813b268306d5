"""What the default command shows, over base seeds and kinds of processor, from stored rows."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from statistics import fmean

import pytest

from bench.experiment.registry import catalog
from bench.results.rows import Row, load_all
from bench.results.select import grouped

FOLDER = Path(__file__).parents[2] / "results" / "quick"
RUNS = sorted(folder.parent.name for folder in FOLDER.glob("*/rows"))
METHODS = {*catalog("methods", declared=True).groups["all"]}
Accuracy = dict[tuple[str, str], float]


def accuracy(run: str) -> Accuracy:
    """Method and defense -> percent, mean over victims."""
    return {pair: fmean(map(percent, rows)) for pair, rows in grouped(all_rows(run)).items()}


def all_rows(run: str) -> list[Row]:
    """Of the default command, and of two more victims of some methods."""
    return load_all(FOLDER / run / "rows") + load_all(FOLDER / "more" / run / "rows")


def percent(row: Row) -> float:
    return 100 * (row.test_acc or 0)


def apart(factor: str, method: str) -> float:
    """Points between undefended means over the other of the two, of which single runs are too few."""
    levels: dict[str, list[float]] = {}
    for run in RUNS:
        seed, _, processor = run.partition("-")
        levels.setdefault(seed if factor == "seed" else processor, []).append(accuracy(run)[method, "none"])
    assert len(levels) == (3 if factor == "seed" else 2) and len({len(runs) for runs in levels.values()}) == 1
    means = [fmean(runs) for runs in levels.values()]
    return max(means) - min(means)


def test_a_run_is_of_the_seed_and_the_processor_that_its_folder_names() -> None:
    assert len(RUNS) == 6
    for run in RUNS:
        for row in all_rows(run):
            avx2 = row.environment["capability"] == "AVX2"
            assert run == f"seed{row.inputs['seed']}{'-avx2' if avx2 else ''}"


@pytest.mark.parametrize("run", RUNS)
def test_a_run_is_the_whole_default_matrix(run: str) -> None:
    wanted = [catalog(kind, declared=True).groups["all"] for kind in ("methods", "defenses")]
    assert {*grouped(load_all(FOLDER / run / "rows"))} == {*product(*wanted)}


@pytest.mark.parametrize("run", RUNS)
def test_every_row_has_mi_its_ceiling_and_the_gap_with_intervals_or_says_why_not(run: str) -> None:
    names = [f"mi{part}{end}" for part in ("", "_ceiling", "_gap") for end in ("", "_low", "_high")]
    for row in load_all(FOLDER / run / "rows"):
        assert row.mi_reason or all(getattr(row, name) is not None for name in names), row.key


@pytest.mark.parametrize("run", RUNS)
def test_victims_of_clean_images_learn_under_every_defense(run: str) -> None:
    found = accuracy(run)
    assert found["clean", "none"] >= 80
    for method, defense in found:
        assert method != "clean" or found[method, defense] >= 0.7 * found["clean", "none"], defense


@pytest.mark.parametrize("run", RUNS)
def test_methods_cost_accuracy_and_random_noise_does_not(run: str) -> None:
    found = accuracy(run)
    cost = {method: found["clean", "none"] - value for (method, own), value in found.items() if own == "none"}
    assert cost["em"] >= 40 and cost["mi-ue"] >= 40 and cost["tap"] >= 20
    assert abs(cost["random"]) <= 5


@pytest.mark.parametrize("run", RUNS)
def test_defenses_give_back_what_they_are_known_to(run: str) -> None:
    found = accuracy(run)

    def back(method: str, defense: str) -> float:
        return found[method, defense] - found[method, "none"]

    assert max(back("em", "iss-gray"), back("em", "iss-jpeg10")) >= 20
    assert max(back("tap", "iss-jpeg10"), back("mi-ue", "iss-jpeg10")) >= 20
    for method in ("em", "tap", "mi-ue"):
        assert abs(found["clean", "at-8"] - found[method, "at-8"]) <= 15, method


@pytest.mark.parametrize("factor", ["seed", "processor"])
def test_no_undefended_cell_hangs_on_the_seed_or_the_processor(factor: str) -> None:
    assert max(apart(factor, method) for method in METHODS) <= 10


def test_the_page_has_the_numbers_of_the_rows() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line
    ]
    head = lines[0][1:7]
    assert sorted(head) == RUNS
    stated = {name: cells for name, *cells in lines if name in METHODS}
    assert {*stated} == METHODS
    for method, cells in stated.items():
        numbers = [accuracy(run)[method, "none"] for run in head]
        assert cells == [f"{x:.1f}" for x in (*numbers, apart("seed", method), apart("processor", method))]


def test_the_page_says_how_far_single_numbers_are_apart() -> None:
    """Of methods, of poisons, of victims of one poison, and of defended cells."""
    text = " ".join((FOLDER / "README.md").read_text(encoding="utf-8").split())
    of_means = max(apart(factor, method) for factor in ("seed", "processor") for method in METHODS)
    assert of_means <= 6 and "mean moves by more than 6 points" in text
    found = {pair: [accuracy(run)[pair] for run in RUNS] for pair in accuracy(RUNS[0])}
    of_poisons = max(max(values) - min(values) for (_, name), values in found.items() if name == "none")
    assert f"A single poison's does, by up to {of_poisons:.0f}," in text
    for method in ("em", "mi-ue"):
        cells = [grouped(all_rows(run))[method, "none"] for run in RUNS]
        assert {len(rows) for rows in cells} == {3}
        assert {len({row.published for row in rows} | {row.setting for row in rows}) for rows in cells} == {2}
        most = max(max(map(percent, rows)) - min(map(percent, rows)) for rows in cells)
        assert re.search(rf"those of `{method}` (are )?up to {most:.1f}", text), method
    for method, defense in (("em", "iss-gray"), ("clean", "uer"), ("emax", "at-8")):
        low, high = min(found[method, defense]), max(found[method, defense])
        assert re.search(rf"`{method}` under `{defense}` (leaves )?{low:.0f} to {high:.0f} %", text), method
