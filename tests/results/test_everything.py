"""What every method does on the default images, from stored rows."""

from __future__ import annotations

from pathlib import Path

from bench.experiment.registry import catalog
from bench.results.rows import load_all

FOLDER = Path(__file__).parents[2] / "results" / "everything"
ROWS = {row.method: row for row in load_all(FOLDER / "rows")}
IDLE = {"emax"}  # of which its paper expects little (section 4.1)
ROBUST = {"hypo", "entf-push", "entf-pull"}  # aim at victims that are trained adversarially
LITTLE = 0.05


def cost(method: str) -> float:
    return (ROWS["clean"].test_acc or 0) - (ROWS[method].test_acc or 0)


def test_every_method_has_its_row() -> None:
    assert {*ROWS} == {*catalog("methods", declared=True).variants}
    assert {row.status for row in ROWS.values()} == {"ok"}


def test_each_does_what_it_claims_or_says_why_not() -> None:
    idle = {
        name
        for name, row in ROWS.items()
        if not row.control and not row.craft.get("unreached") and cost(name) < LITTLE
    }
    assert idle - ROBUST == IDLE
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in IDLE | ROBUST)


def test_random_noise_costs_nothing() -> None:
    for name in ("random", "random-signed", "random-l2", "random-l2-unit", "random-l0"):
        assert abs(cost(name)) < LITTLE, name
