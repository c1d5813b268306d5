"""What the default command shows, over base seeds and kinds of processor, from stored rows."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from statistics import fmean

import pytest

from bench.experiment.registry import catalog
from bench.results.rows import load_all
from bench.results.select import grouped

FOLDER = Path(__file__).parents[2] / "results" / "quick"
RUNS = sorted(folder.parent.name for folder in FOLDER.glob("*/rows"))
Accuracy = dict[tuple[str, str], float]


def accuracy(run: str) -> Accuracy:
    """Method and defense -> percent, mean over victims."""
    groups = grouped(load_all(FOLDER / run / "rows") + load_all(FOLDER / "more" / run / "rows"))
    return {pair: 100 * fmean(row.test_acc or 0 for row in rows) for pair, rows in groups.items()}


def undefended(method: str, run: str) -> list[float]:
    """Percent of every victim."""
    rows = load_all(FOLDER / run / "rows") + load_all(FOLDER / "more" / run / "rows")
    return [100 * (row.test_acc or 0) for row in rows if (row.method, row.defense) == (method, "none")]


def test_a_run_is_of_the_seed_and_the_processor_that_its_folder_names() -> None:
    assert len(RUNS) == 6
    for run in RUNS:
        for row in load_all(FOLDER / run / "rows"):
            avx2 = row.environment["capability"] == "AVX2"
            assert run == f"seed{row.inputs['seed']}{'-avx2' if avx2 else ''}"


@pytest.mark.parametrize("run", RUNS)
def test_a_run_is_the_whole_default_matrix(run: str) -> None:
    wanted = [catalog(kind, declared=True).groups["all"] for kind in ("methods", "defenses")]
    assert {*accuracy(run)} == {*product(*wanted)}


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
    """Means over the other of the two, of which single runs are too few."""
    levels: dict[str, list[Accuracy]] = {}
    for run in RUNS:
        seed, _, processor = run.partition("-")
        levels.setdefault(seed if factor == "seed" else processor, []).append(accuracy(run))
    assert len(levels) == (3 if factor == "seed" else 2) and len({len(runs) for runs in levels.values()}) == 1
    apart: dict[str, float] = {}
    for method in {method for method, defense in levels[next(iter(levels))][0] if defense == "none"}:
        means = [fmean(run[method, "none"] for run in runs) for runs in levels.values()]
        apart[method] = max(means) - min(means)
    assert max(apart.values()) <= 10, apart


def test_the_page_has_the_numbers_of_the_rows() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line
    ]
    head = lines[0][1:7]
    assert sorted(head) == RUNS
    stated = {
        name: cells[:6] for name, *cells in lines if name in ("clean", "random", "em", "emax", "mi-ue", "tap")
    }
    for method, cells in stated.items():
        assert cells == [f"{accuracy(run)[method, 'none']:.1f}" for run in head], method


@pytest.mark.parametrize("method", ["em", "mi-ue"])
def test_the_page_says_how_far_victims_of_one_poison_are_apart(method: str) -> None:
    found = [undefended(method, run) for run in RUNS]
    assert {len(victims) for victims in found} == {3}
    most = max(max(victims) - min(victims) for victims in found)
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert f"`{method}` are up to {most:.1f} points apart" in " ".join(text.split())
