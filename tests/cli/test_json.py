"""--json prints one document that holds the numbers of the tables, and nothing else."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from bench.cli import markdown
from bench.cli.main import main
from bench.core.method import Form
from bench.experiment.registry import catalog
from bench.results.rows import load_all, save
from support.pages import ROOT
from support.rows import keyed, row

QUICK = ROOT / "results" / "quick" / "seed0"
COMMANDS = {
    "table": ["table", "run"],
    "leaderboard": ["leaderboard", "run"],
    "compare": ["compare", "em", "tap", "--out", "run"],
    "claims": ["claims", "--rows", "run"],
    "check": ["check", "twice", "--baseline", "baseline.json"],
    "list": ["list"],
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(QUICK / "rows", tmp_path / "run" / "rows")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *command: str, code: int = 0) -> Any:
    """The document, which is all that is printed."""
    capsys.readouterr()
    assert main([*command, "--json"]) == code
    out, err = capsys.readouterr()
    assert not err
    return json.loads(out)


def test_the_cells_of_a_table_are_those_of_the_rows(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = said(capsys, *COMMANDS["table"])["tables"]
    stored = {(row.method, row.defense): row for row in load_all(place / "run" / "rows")}
    for measure, column in (("accuracy", "test_acc"), ("mi", "mi")):
        cells = [cell for own in tables if own["measure"] == measure for cell in own["cells"]]
        assert {(cell["method"], cell["defense"]) for cell in cells} == {*stored}
        assert all(cell["mean"] == getattr(stored[cell["method"], cell["defense"]], column) for cell in cells)
    assert all((place / "run" / f"{own['measure']}.csv").exists() for own in tables)  # written all the same


def test_a_leaderboard_has_every_method_with_its_scores(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (board,) = said(capsys, *COMMANDS["leaderboard"])["leaderboards"]
    scores = {own["method"]: own["scores"] for own in board["methods"]}
    assert {"em", "tap", "clean"} <= {*scores} and scores["em"]["none"]["cell"]["mean"] < 0.3


def test_a_comparison_has_its_differences(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = said(capsys, *COMMANDS["compare"])
    first = found["differences"][0]
    assert found["sides"] == ["em", "tap"] and found["said"]
    assert first["difference"] == pytest.approx(first["one"] - first["other"])


def test_each_claim_has_a_verdict(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    claims = said(capsys, *COMMANDS["claims"])["claims"]
    assert len({own["id"] for own in claims}) == len(claims) > 50 and all(own["verdict"] for own in claims)


def test_the_gate_says_whether_it_passed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = {"code": {"method": "a" * 16, "defense": "b" * 16}, "published": "c" * 64}
    measured: dict[str, Any] = made | {
        "mi": 0.5,
        "mi_gap": 0.1,
        "mi_estimator": "smi-noisy",
        "linf": 0.03,
        "l2": 1.0,
    }
    for method, accuracy in (("clean", 0.9), ("em", 0.2)):
        for rep in range(2):
            own = row(method, rep=rep, test_acc=accuracy + rep / 100, **measured)
            save(keyed(own), place / "twice" / "rows")
    assert main(["check", "twice", "--write", "baseline.json"]) == 0
    found = said(capsys, *COMMANDS["check"])
    assert found["passed"] and {line["verdict"] for line in found["lines"]} == {"within"}
    for path in (place / "twice" / "rows").iterdir():
        if json.loads(path.read_text())["method"] == "em":
            path.unlink()
    found = said(capsys, *COMMANDS["check"], code=1)
    assert not found["passed"] and "missing" in {line["verdict"] for line in found["lines"]}


def test_the_list_has_every_name_with_its_fields(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = said(capsys, *COMMANDS["list"])
    kinds = {entry["kind"] for entry in entries}
    assert kinds == {"method", "defense", "data set", "net", "profile", "study"}
    (tap,) = said(capsys, "list", "tap")
    values = {field["field"]: field["value"] for field in tap["fields"]}
    assert tap in entries and values["steps"] == 250 and values["surrogate.epochs"] == 40


@pytest.mark.parametrize("command", [["list", "tapp"], ["table", "nowhere"]])
def test_what_is_wrong_is_still_said_on_stderr(
    place: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert main([*command, "--json"]) == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith("bench: ")


TINY = ["--limit", "100", "--workers", "1", "--no-report", "--out", "out", "--cache", "cache"]
TINY += ["--set", "victim.epochs=1", "--set", "points=1", "--set", "robust_images=0"]


def test_a_run_gives_its_tables_and_what_went_wrong_and_tells_its_progress_aside(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["run", "--methods", "clean,random", "--defenses", "none", *TINY]
    assert main([*asked, "--dry-run", "--img-per-s", "1000", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert {(own["method"], own["work"], own["left"]) for own in plan["work"]} == {
        *((name, "none", 1) for name in ("clean", "random")),
        *((name, "craft", 1) for name in ("clean", "random")),
    }
    assert 0 < plan["hours_at_least"] <= plan["hours"]
    assert main([*asked, "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    accuracy = next(own for own in found["tables"] if own["measure"] == "accuracy")
    stored = {row.method: row.test_acc for row in load_all(place / "out" / "rows")}
    assert {own["method"]: own["mean"] for own in accuracy["cells"]} == stored and len(stored) == 2
    assert (found["failed"], found["left"]) == (0, 0) and "clean x none" in err


def test_an_audit_has_what_was_seen(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(place / "delta.npy", np.full((20, 3, 8, 8), 4 / 255, np.float32))
    found = said(capsys, "verify", "delta.npy")
    assert found["poison"] == "file:delta" and found["seen"]["entries"] == "20 of 8x8 pixels in 3 channels"


def test_a_method_has_its_threat_model_form_needs_cost_and_source(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A control may have no source; the same stands on the page of methods."""
    found, page = catalog("methods", declared=True), markdown.plugins(catalog("methods", declared=True))
    methods = {entry["name"]: entry for entry in said(capsys, *COMMANDS["list"]) if entry["kind"] == "method"}
    for name in [*found.variants, *found.patterns]:
        entry, control = methods[name], name in found.variants and found.variants[name].control
        form, needs, source = entry["form"], ", ".join(entry["needs"]) or "nothing", entry["source"]
        assert form in get_args(Form)
        cost = f"{entry['cost_against_em']:.3g}"
        assert f"| `{name}` | {entry['threat']} | {form} | {needs} | {cost} | {source} |" in page
        assert re.search(r"\d{4}$|arXiv [\d.]+$", source) or (control and source == "no source"), name
    assert methods["rem"]["cost_against_em"] > methods["tap"]["cost_against_em"] > 1
    assert "Stable Unlearnable Example" in methods["sem"]["source"]  # which shares REM's file
    assert methods["clean"]["source"] == "no source"


@pytest.mark.parametrize("columns", [80, 110])
def test_the_list_compares_methods_within_a_terminals_width(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    for expected in (
        "aap L-inf 8/255 sample net, labels 1.9 Wang et al. 2024",
        "tap L-inf 8/255 sample net, labels 13 Fowl et al. 2021",
        "em-gray L-inf 8/255 sample net, labels 2.5 Liu et al. 2021",
        "lsp L2 1.304 sample labels 0 Yu et al. 2022",
        "mi-ue-at{radius} L-inf 8/255 sample net, labels 14 Zhu et al. 2026",
    ):
        assert expected in [" ".join(line.split()) for line in lines]
    assert main(["list", "tap"]) == 0
    one = " ".join(capsys.readouterr().out.split())
    assert "cost, EM is 1 13 source Fowl et al." in one
