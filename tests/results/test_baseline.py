"""The baseline and the comparison with it, from hand-made rows: numbers, conditions and exit codes."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.cli import options
from bench.cli.main import main, parsed
from bench.core.errors import BadInput
from bench.metrics.mi.smi_noisy import NAME
from bench.results import baseline
from bench.results.baseline import RULES, SCHEMA, Measured, Rule
from bench.results.regression import compare
from bench.results.rows import Row, save
from bench.runner.request import resolve
from support.rows import keyed

ROOT = Path(__file__).parent.parent.parent
CONDITIONS: dict[str, Any] = {
    "revisions": {"training": 1},
    "data": {"name": "toy", "digest": "d" * 64, "limit": None},
    "net": "small",
    "eps": None,
    "victim": {"epochs": 3, "milestones": []},
}
ACCURACY = {("clean", "none"): 0.9, ("clean", "gray"): 0.8, ("tap", "none"): 0.2, ("tap", "gray"): 0.5}
PAIRS = [*ACCURACY]
OFFSETS = (-0.05, 0.0, 0.05)  # of the repetitions: a spread of 0.05
TOLERANCE = 4 * 0.05  # of the accuracy


def code(name: str) -> str:
    return name.encode().hex().ljust(16, "0")[:16]


def row(method: str, defense: str, rep: int, **values: Any) -> Row:
    own = {"name": method, "revision": 1, "eps": 8 / 255, "surrogate": {"epochs": 5}}
    inputs = CONDITIONS | {"method": own, "defense": {"name": defense, "revision": 1}}
    inputs |= {"poison_rep": 0, "rep": rep}
    usual: dict[str, Any] = {
        "setting": "5" * 64,
        "inputs": inputs,
        "code": {"method": code(method), "defense": code(defense)},
        "test_acc": ACCURACY[method, defense] + OFFSETS[rep % 3],
        "mi": 0.1,
        "mi_gap": 0.7,
        "mi_estimator": "smi-noisy",
        "linf": 8 / 255,
        "l2": 1.0,
        "published": hashlib.sha256(method.encode()).hexdigest(),
        "environment": {"device": "cpu", "torch": "2.6", "commit": "abc"},
        "craft_environment": {"device": "cpu", "torch": "2.6", "commit": "abc"},
    }
    return Row(
        key=hashlib.sha256(f"{method} {defense} {rep}".encode()).hexdigest(),
        data="toy",
        synthetic=True,
        classes=10,
        control=method == "clean",
        method=method,
        defense=defense,
        poison_rep=0,
        rep=rep,
        profile="quick",
        **(usual | values),
    )


ROWS = [row(*pair, rep) for pair in PAIRS for rep in range(3)]
BASELINE = baseline.make(ROWS)


def changed(pair: tuple[str, str], change: Callable[[Row], Row]) -> list[Row]:
    """All rows, those of one cell changed."""
    return [change(r) if (r.method, r.defense) == pair else r for r in ROWS]


def moved(column: str, by: float) -> list[Row]:
    return changed(("tap", "none"), lambda r: replace(r, **{column: getattr(r, column) + by}))


def with_inputs(path: str, value: object, rows: Sequence[Row] = ROWS) -> list[Row]:
    """All rows with one input changed."""
    text = json.dumps([r.inputs for r in rows])
    copies = json.loads(text)
    *parents, last = path.split(".")
    for inputs in copies:
        place = inputs
        for name in parents:
            place = place[name]
        place[last] = value
    return [replace(r, inputs=inputs) for r, inputs in zip(rows, copies, strict=True)]


def flagged(rows: Sequence[Row]) -> set[tuple[str, str, str]]:
    """Cell, measure and verdict of each line that is not within its tolerance."""
    comparison = compare(BASELINE, rows)
    found = {(line.cell, line.measure, line.verdict) for line in comparison.lines if line.verdict != "within"}
    assert comparison.passed == (not found)
    return found


# Tolerances


def test_the_spread_widens_the_tolerance_and_never_below_the_floor() -> None:
    rule = Rule(floor=0.05, spreads=3)
    assert rule.tolerance(0.0) == rule.tolerance(0.01) == 0.05
    assert rule.tolerance(0.1) == pytest.approx(0.3)


def test_mean_and_spread_are_those_of_the_repetitions() -> None:
    (cell,) = (c for c in BASELINE.cells if c.name == "tap x none")
    assert cell.reps == [(0, 0), (0, 1), (0, 2)]
    assert cell.measures["test_acc"].mean == pytest.approx(0.2)
    assert cell.measures["test_acc"].spread == pytest.approx(0.05)
    assert cell.measures["linf"].spread == 0


def test_rows_agree_with_their_own_baseline() -> None:
    assert flagged(ROWS) == set()
    comparison = compare(BASELINE, ROWS)
    assert len(comparison.lines) == len(PAIRS) * len(RULES) and not comparison.notes
    assert {line.difference for line in comparison.lines} == {0}


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("column", RULES)
def test_a_measure_may_move_by_its_tolerance_and_no_further(column: str, sign: int) -> None:
    tolerance = TOLERANCE if column == "test_acc" else RULES[column].floor
    assert flagged(moved(column, sign * tolerance * 0.99)) == set()
    assert flagged(moved(column, sign * tolerance * 1.01)) == {("tap x none", column, "moved")}


def test_one_grey_level_of_the_budget_is_seen() -> None:
    assert flagged(moved("linf", -1 / 255)) == {("tap x none", "linf", "moved")}


def test_the_rule_is_the_one_in_the_file() -> None:
    lax = replace(BASELINE, rules=RULES | {"mi": Rule(floor=1.0, spreads=0)})
    assert compare(lax, moved("mi", 0.9)).passed and not compare(BASELINE, moved("mi", 0.9)).passed


def test_what_moved_most_comes_first() -> None:
    rows = moved("mi", 0.5)
    rows = [replace(r, test_acc=0.9) if (r.method, r.defense) == ("tap", "gray") else r for r in rows]
    lines = compare(BASELINE, rows).lines
    assert [(line.cell, line.measure) for line in lines[:2]] == [
        ("tap x none", "mi"),
        ("tap x gray", "test_acc"),
    ]
    assert all(line.verdict == "within" for line in lines[2:])


# Cells that are not whole


def test_failed_and_missing_cells_are_named_with_their_reasons() -> None:
    failed = changed(
        ("tap", "gray"),
        lambda r: replace(
            r, status="failed", reason="Traceback\nValueError: no luck", test_acc=None, mi=None
        ),
    )
    assert flagged(failed) == {("tap x gray", "", "failed")}
    assert compare(BASELINE, failed).lines[0].reason == "ValueError: no luck"
    assert flagged([r for r in ROWS if r.defense != "gray"]) == {
        ("clean x gray", "", "missing"),
        ("tap x gray", "", "missing"),
    }
    part = [r for r in ROWS if (r.method, r.defense, r.rep) != ("tap", "gray", 1)]
    assert flagged(part) == {("tap x gray", "", "missing")}
    assert compare(BASELINE, part).lines[0].reason == "2 of 3 repetitions are there"
    assert {verdict for _, _, verdict in flagged([])} == {"missing"} and len(flagged([])) == len(PAIRS)


def test_a_skipped_cell_is_no_pass() -> None:
    skipped = changed(("tap", "gray"), lambda r: replace(r, status="skipped", reason="gray already"))
    assert flagged(skipped) == {("tap x gray", "", "failed")}


def test_a_measure_that_is_gone_is_missing() -> None:
    rows = changed(("tap", "none"), lambda r: replace(r, mi=None, mi_reason="too few images"))
    assert flagged(rows) == {("tap x none", "mi", "missing")}
    assert compare(BASELINE, rows).lines[0].reason == "too few images"


def test_where_the_baseline_has_a_bound_of_mi_the_rest_is_compared(tmp_path: Path) -> None:
    bound = changed(
        ("tap", "none"), lambda r: replace(r, mi=None, mi_reason="at least 2.0 (certified up to 1.3)")
    )
    baseline.save(baseline.make(bound), tmp_path / "b.json")
    stored = baseline.load(tmp_path / "b.json")
    assert compare(stored, bound).passed and compare(stored, ROWS).passed
    assert "mi not compared, the baseline has none: tap x none" in compare(stored, ROWS).notes
    assert not any("not compared" in note for note in compare(BASELINE, ROWS).notes)
    worse = [replace(r, test_acc=0.9) if (r.method, r.defense) == ("tap", "none") else r for r in bound]
    assert [line.measure for line in compare(stored, worse).lines if line.verdict != "within"] == ["test_acc"]


def test_further_cells_are_noted_and_not_compared() -> None:
    more = [replace(r, method="new", key=f"new {r.key}", test_acc=0.0) for r in ROWS[6:9]]
    comparison = compare(BASELINE, [*ROWS, *more])
    assert comparison.passed
    assert comparison.notes == ["not compared, the baseline has none such: new x none"]


# Conditions


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("victim.epochs", 4, "victim.epochs is 4, in the baseline 3"),
        ("victim.milestones", [0.5], "victim.milestones is [0.5], in the baseline []"),
        ("data.digest", "e" * 64, "data.digest is eeeeeeeeeeeeeeee..., in the baseline dddddddddddddddd..."),
        ("data.limit", 100, "data.limit is 100, in the baseline None"),
        ("revisions.training", 2, "revisions.training is 2, in the baseline 1"),
        ("eps", 4 / 255, f"eps is {4 / 255}, in the baseline None"),
        ("extra", 1, "extra is 1, in the baseline absent"),
        ("method.surrogate.epochs", 6, "tap.surrogate.epochs is 6, in the baseline 5"),
        ("method.eps", 4 / 255, f"tap.eps is {4 / 255}, in the baseline {8 / 255}"),
        ("defense.quality", 10, "none.quality is 10, in the baseline absent"),
    ],
)
def test_another_condition_is_named_with_both_values(path: str, value: object, said: str) -> None:
    for rows in (with_inputs(path, value), with_inputs(path, value, moved("test_acc", 0.5))):
        with pytest.raises(BadInput, match="not comparable with the baseline") as refused:
            compare(BASELINE, rows)
        assert said in str(refused.value) and "\n" not in str(refused.value)


def test_every_condition_that_differs_is_named() -> None:
    with pytest.raises(BadInput) as refused:
        compare(BASELINE, with_inputs("victim.epochs", 4, with_inputs("net", "large")))
    assert "victim.epochs is 4" in str(refused.value) and "net is large" in str(refused.value)


def test_repetitions_and_estimator_must_be_the_baselines() -> None:
    with pytest.raises(BadInput, match=r"\(poison_rep, rep\) is \[\(0, 0\), \(0, 1\)\], in the baseline \["):
        compare(BASELINE, [r for r in ROWS if r.rep < 2])
    with pytest.raises(BadInput, match=r"\(poison_rep, rep\) is .*\(0, 3\)"):
        compare(BASELINE, [*ROWS, row("tap", "none", 3)])
    with pytest.raises(BadInput, match=r"mi_estimator is \['other'\], in the baseline \['smi-noisy'\]"):
        compare(BASELINE, [replace(r, mi_estimator="other") for r in ROWS])


def test_rows_of_other_conditions_beside_the_right_ones_are_left_out() -> None:
    others = [replace(r, key=f"other {r.key}", test_acc=0.0) for r in with_inputs("victim.epochs", 4)]
    variants = [replace(r, key=f"variant {r.key}") for r in with_inputs("method.surrogate.epochs", 6)]
    comparison = compare(BASELINE, [*others, *ROWS, *variants])
    assert comparison.passed and "not compared" in comparison.notes[0]


def test_rows_of_two_revisions_are_refused() -> None:
    again = [replace(r, key=f"again {r.key}") for r in with_inputs("method.revision", 2)]
    with pytest.raises(BadInput, match="several revisions in one folder"):
        compare(BASELINE, [*ROWS, *again])


def test_revisions_code_images_and_machine_may_change() -> None:
    rows = [replace(r, code=r.code | {"method": "new"}) for r in with_inputs("method.revision", 2)]
    rows = [replace(r, published="x", environment={**r.environment, "torch": "2.7"}) for r in rows]
    comparison = compare(BASELINE, rows)
    assert comparison.passed
    assert comparison.notes == [
        "revised since the baseline: clean 1 -> 2, tap 1 -> 2",
        "code changed since the baseline: clean, tap",
        "published images differ in some bits from the baseline's: clean, tap",
        "environment: torch is 2.7, in the baseline 2.6",
    ]


# What is fit to be a baseline


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "needs rows"),
        (
            [*ROWS[1:], replace(ROWS[0], status="failed", reason="x\nValueError: no")],
            "failed, ValueError: no",
        ),
        ([*ROWS[1:], replace(ROWS[0], mi=None)], "needs mi; clean x none has none and does not say why"),
        ([replace(r, mi=None, mi_reason="too few") for r in ROWS], "needs mi in some cell; here too few"),
        ([*ROWS[1:], replace(ROWS[0], linf=None, mi_reason="too few")], "needs linf; clean x none"),
        (ROWS[1:], r"clean x none lacks \(poison_rep, rep\) \(0, 0\)"),
        (ROWS[3:], r"clean x none lacks"),
        ([r for r in ROWS if r.rep == 0], "needs 2 or more repetitions; clean x gray has 1"),
        ([*ROWS[1:], replace(ROWS[0], setting="6" * 64)], "of one setting"),
        (
            [*ROWS, *with_inputs("method.surrogate.epochs", 6, ROWS[:1])],
            "one plugin a name; .*surrogate.epochs 6",
        ),
        (
            [replace(r, environment={"commit": "abc-dirty"}) for r in ROWS],
            "of a commit; clean x none is of abc",
        ),
        ([replace(r, craft_environment={"commit": "abc-dirty"}) for r in ROWS], "abc-dirty"),
        ([*ROWS[1:], replace(ROWS[0], environment={"commit": "b"})], "one machine and commit; .*commit"),
    ],
)
def test_what_is_no_whole_clean_grid_is_refused(rows: list[Row], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        baseline.make([replace(r, key=str(number)) for number, r in enumerate(rows)])


def test_clean_needs_no_poison_of_its_own_for_each_repetition() -> None:
    second = [replace(r, poison_rep=1, key=f"second {r.key}") for r in ROWS if r.method == "tap"]
    made = baseline.make([*ROWS, *second])
    assert {cell.name: len(cell.reps) for cell in made.cells}["tap x gray"] == 6
    assert compare(made, [*second, *ROWS]).passed


# Files


def test_load_of_save_is_the_baseline(tmp_path: Path) -> None:
    baseline.save(BASELINE, tmp_path / "b.json")
    assert baseline.load(tmp_path / "b.json") == BASELINE
    assert [path.name for path in tmp_path.iterdir()] == ["b.json"]


DAMAGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a newer schema": lambda b: b.update(schema=SCHEMA + 1),
    "no schema": lambda b: b.pop("schema"),
    "no cells": lambda b: b.update(cells=[]),
    "no rules": lambda b: b.update(rules={}),
    "a floor of 0": lambda b: b["rules"]["mi"].update(floor=0),
    "an unknown entry": lambda b: b.update(more=1),
    "an entry less": lambda b: b.pop("setting"),
    "a cell of an unknown method": lambda b: b["methods"].pop("tap"),
    "a measure less": lambda b: b["cells"][0]["measures"].pop("l2"),
    "a mean that is text": lambda b: b["cells"][0]["measures"]["l2"].update(mean="1"),
    "a mean that is nan": lambda b: b["cells"][0]["measures"]["l2"].update(mean=math.nan),
    "an endless spread": lambda b: b["cells"][0]["measures"]["l2"].update(spread=math.inf),
    "a cell that is none": lambda b: b["cells"].append("tap x none"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_no_baseline_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "b.json"
    baseline.save(BASELINE, path)
    values = json.loads(path.read_text())
    DAMAGES[damage](values)
    path.write_text(json.dumps(values))
    said = "has schema" if "schema" in damage else "is damaged"
    with pytest.raises(BadInput, match=rf"b\.json {said}"):
        baseline.load(path)


@pytest.mark.parametrize("text", ["", "[1]", "null", "{", '{"schema": 1}', "\xff"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "b.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadInput, match=r"b\.json (is damaged|has schema None)"):
        baseline.load(path)
    with pytest.raises(BadInput, match="No such file"):
        baseline.load(tmp_path / "absent.json")


# The verb


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A run's folder and the baseline of its rows."""
    (tmp_path / "run" / "rows").mkdir(parents=True)
    for r in ROWS:
        save(keyed(r), tmp_path / "run" / "rows")
    assert main(["check", str(tmp_path / "run"), "--write", str(tmp_path / "new" / "b.json")]) == 0
    return tmp_path


def check(place: Path) -> int:
    return main(["check", str(place / "run"), "--baseline", str(place / "new" / "b.json")])


def test_exit_codes(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(place) == 0
    assert "passed: 20 within" in capsys.readouterr().out
    save(replace(keyed(ROWS[6]), test_acc=0.95), place / "run" / "rows")
    assert check(place) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "FAILED: 1 moved, 19 within"
    assert "tap x none" in said[2] and "moved" in said[2] and "20.0" in said[2]
    assert all(len(line) <= 80 for line in said)
    shutil.rmtree(place / "run" / "rows")
    for r in with_inputs("victim.epochs", 4):
        save(keyed(r), place / "run" / "rows")
    assert check(place) == 2
    said_wrong = capsys.readouterr().err.splitlines()
    assert len(said_wrong) == 1 and "victim.epochs is 4, in the baseline 3" in said_wrong[0]


def test_a_failed_cell_is_told_with_its_reason(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(replace(keyed(ROWS[6]), status="failed", reason="ValueError: [no] luck"), place / "run" / "rows")
    assert check(place) == 1
    assert "tap x none: failed, ValueError: [no] luck" in capsys.readouterr().out


def test_nothing_is_written_of_rows_that_are_no_baseline(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(replace(keyed(ROWS[0]), status="failed", reason="no"), place / "run" / "rows")
    before = (place / "new" / "b.json").read_bytes()
    assert main(["check", str(place / "run"), "--write", str(place / "new" / "b.json")]) == 2
    assert main(["check", str(place / "run"), "--write", str(place / "other" / "b.json")]) == 2
    assert (place / "new" / "b.json").read_bytes() == before and not (place / "other").exists()
    assert "no rows/" in _refused(["check", str(place), "--baseline", "b.json"], capsys)


def _refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(argv) == 2
    return capsys.readouterr().err


def test_a_check_needs_no_torch(place: Path) -> None:
    code = (
        "import sys\nfrom bench.cli.main import main\nsys.exit(main(sys.argv[1:]) or 'torch' in sys.modules)"
    )
    asked = ["check", str(place / "run"), "--baseline", str(place / "new" / "b.json")]
    ended = subprocess.run([sys.executable, "-c", code, *asked], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "passed" in ended.stdout


# The grid that CI computes


def test_ci_computes_the_grid_that_the_baseline_states() -> None:
    ci = (ROOT / "tox.ini").read_text().replace("\\\n", " ").replace("{env_tmp_dir}", "DIR")
    readme = baseline.OWN.with_name("README.md").read_text().replace("\\\n", " ")
    stated = [line.split() for line in readme.splitlines() if line.startswith("python -m bench")]
    computed = [line.split() for line in ci.splitlines() if line.strip().startswith("python -m bench ")]
    assert [words[3] for words in stated] == ["run", "check"] and len(computed) == 2
    for mine, theirs in zip(stated, computed, strict=True):
        assert [w for w in mine if "/runs/" not in w] == [w for w in theirs if not w.startswith("DIR")]


def test_the_stored_baseline_is_that_of_the_command() -> None:
    stored = baseline.load(baseline.OWN)
    asked = parsed(["run", "--config", "gate"])
    resolved = resolve(options.request(asked))
    assert {p.name for p in resolved.methods} == {*stored.methods}
    assert {p.name for p in resolved.defenses} == {*stored.defenses}
    for field in ("seed", "eps", "net", "surrogate", "points"):
        assert stored.setting[field] == getattr(resolved.setting, field)
    assert stored.setting["precision"] == "fp32" and not str(stored.environment["commit"]).endswith("-dirty")
    assert len(stored.cells) == 10 and all(len(cell.reps) >= 2 for cell in stored.cells)


def test_the_stored_baseline_can_tell_a_poison_from_none() -> None:
    """What methods do to the victim is more than what the gate lets pass, by five points or more."""
    stored = baseline.load(baseline.OWN)
    accuracy = {cell.name: cell.measures["test_acc"] for cell in stored.cells}
    allowed = {name: stored.rules["test_acc"].tolerance(found.spread) for name, found in accuracy.items()}
    clean = accuracy["clean x none"].mean
    for method in {*stored.methods} - {"clean"}:
        name = f"{method} x none"
        assert clean - accuracy[name].mean >= allowed[name] + 0.05
    healed = {m: accuracy[f"{m} x iss-jpeg10"].mean - accuracy[f"{m} x none"].mean for m in stored.methods}
    assert any(healed[m] > 2 * allowed[f"{m} x iss-jpeg10"] for m in healed)


def test_halving_every_mi_moves_most_of_its_lines() -> None:
    """Of the kept grid; until it is recorded with today's estimator, of values as its methods have them."""
    kept = baseline.load(baseline.OWN)
    found = [cell.measures["mi"] for cell in kept.cells if "mi" in cell.measures]
    rule = kept.rules["mi"]
    if kept.estimator != NAME:
        rule = RULES["mi"]
        found = [Measured(mean, 0.01) for mean in (0.8, 0.77, 0.6, 0.4, 0.2, 0.12, 0.05)]
    moved = [own.mean / 2 > rule.tolerance(own.spread) for own in found]
    assert sum(moved) > len(found) / 2
