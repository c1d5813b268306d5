"""compare: which side is lower, by how much, how sure, from hand-made rows."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import ttest_ind, ttest_rel

from bench.cli.main import main
from bench.core.errors import BadInput
from bench.report.compare import sentence, sentences, table
from bench.report.formats import grid
from bench.results.compare import Difference, differs, of_methods, of_runs
from bench.results.rows import Row, save
from support.rows import OTHER, keyed, row

EM, TAP = (0.20, 0.24, 0.19), (0.33, 0.36, 0.30)


def poisons(method: str, means: Sequence[float], defense: str = "none", **values: object) -> list[Row]:
    """Two victims of each poison, 2 points apart."""
    plain = {"control": method == "clean", "train_acc": 0.9, "synthetic": False} | values
    return [
        row(method, defense, rep, n, test_acc=mean + off, **plain)
        for n, mean in enumerate(means)
        for rep, off in enumerate((-0.01, 0.01))
    ]


def clean(defense: str = "none", accuracies: Sequence[float] = (0.9, 0.91)) -> list[Row]:
    return [
        row("clean", defense, rep, test_acc=acc, train_acc=0.95, synthetic=False)
        for rep, acc in enumerate(accuracies)
    ]


ROWS = [*clean(), *poisons("em", EM), *poisons("tap", TAP)]


def only(rows: Sequence[Row], one: str = "em", other: str = "tap", metric: str = "test_acc") -> Difference:
    (found,) = of_methods(rows, one, other, None, metric)
    return found


def said(rows: Sequence[Row], one: str = "em", other: str = "tap") -> str:
    return sentence(only(rows, one, other), (one, other), "test_acc")


# Numbers


def test_poisons_of_one_delta_are_paired() -> None:
    """Variants that publish one delta in two ways share its seeds."""
    made = {"name": "em", "crafted_as": "em", "revision": 1, "eps": 0.0}
    rows = [*clean(), *poisons("em", EM), *poisons("em-positive", TAP, inputs={"method": made})]
    found, theirs = only(rows, "em", "em-positive"), ttest_rel(EM, TAP)
    interval = theirs.confidence_interval(0.95)
    assert found.paired and found.units == (3, 3) and found.ordered
    assert found.difference == pytest.approx(np.mean(EM) - np.mean(TAP))
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p == found.corrected == pytest.approx(theirs.pvalue)


def test_poisons_of_two_methods_share_no_seed_and_are_compared_by_welch() -> None:
    found, theirs = only(ROWS), ttest_ind(EM, TAP, equal_var=False)
    interval = theirs.confidence_interval(0.95)
    assert not found.paired and found.units == (3, 3) and found.ordered
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p == found.corrected == pytest.approx(theirs.pvalue)


def test_victims_of_one_seed_stand_beside_each_other() -> None:
    """A victim that one side lacks is left out of both: no difference comes from its seed."""
    lame = [replace(r, test_acc=(r.test_acc or 0) + r.rep / 5) for r in ROWS]
    lacking = [r for r in lame if (r.method, r.poison_rep, r.rep) != ("tap", 1, 1)]
    assert only(lacking).difference == pytest.approx(only(ROWS).difference)


def test_other_seeds_are_compared_by_welch() -> None:
    """Poisons of other numbers, and whatever is read against clean, which is one poison."""
    moved = [replace(r, poison_rep=r.poison_rep + 3) if r.method == "tap" else r for r in ROWS]
    found, theirs = only(moved), ttest_ind(EM, TAP, equal_var=False)
    interval = theirs.confidence_interval(0.95)
    assert not found.paired and (found.low, found.high) == pytest.approx((interval.low, interval.high))
    against = only([r for r in ROWS if r.method != "tap"], "em", "clean")
    assert not against.paired and against.units == (3, 2)
    theirs = ttest_ind(EM, (0.9, 0.91), equal_var=False)
    assert against.p == pytest.approx(theirs.pvalue)
    lone = [r for r in ROWS if (r.method == "em" and r.rep == 0) or r.method == "clean"]
    assert only(lone, "em", "clean").units == (3, 2)  # clean keeps victims that no poison has the seed of


def test_one_poison_says_nothing_of_how_sure() -> None:
    rows = [r for r in ROWS if r.poison_rep == 0]
    one = only(rows)
    assert (one.low, one.high, one.p, one.ordered) == (None, None, None, False)
    assert said(rows) == (
        "em and tap differ by 13.0 points under none, "
        "and nothing is known of how sure that is (one poison a method: no order)."
    )
    more = [*rows, *poisons("em", EM[:1], "gray"), *poisons("tap", (0.25,), "gray")]
    found = of_methods(more, "em", "tap", None, "test_acc")
    assert sentences(found, ("em", "tap"), "test_acc") == [
        "em and tap differ by 5.0 to 13.0 points under 2 defenses, "
        "and nothing is known of how sure that is (one poison a method: no order)."
    ]


def test_poisons_that_all_gave_one_number_order_nothing() -> None:
    rows = [*poisons("em", (0.1, 0.1, 0.1)), *poisons("tap", (0.11, 0.11, 0.11))]
    assert not only(rows).ordered and "all poisons gave the same number" in said(rows)


def test_several_defenses_are_corrected_by_holm() -> None:
    """The least p counts as often as there are comparisons, the next once less, and none falls."""
    levels = {"none": (0.3, 0.36, 0.28), "gray": (0.1, 0.14, 0.05), "cutout": (0.24, 0.25, 0.25)}
    rows = [*ROWS, *clean("gray"), *clean("cutout")]
    rows = [r for r in rows if r.method != "tap"]
    rows += [own for d in ("gray", "cutout") for own in poisons("em", EM, d)]
    rows += [own for d, means in levels.items() for own in poisons("tap", means, d)]
    found = of_methods(rows, "em", "tap", None, "test_acc")
    plain = sorted(own.p or 0 for own in found)
    steps = np.maximum.accumulate([min(1, p * n) for p, n in zip(plain, (3, 2, 1), strict=True)])
    assert sorted(own.corrected or 0 for own in found) == pytest.approx([*steps])
    alone = of_methods(rows, "em", "tap", ["gray"], "test_acc")[0]
    assert alone.corrected == alone.p
    chance = sentence(replace(alone, corrected=0.06, low=0.01, high=0.2), ("em", "tap"), "test_acc", 3)
    assert "have no order under gray" in chance and "may be chance among 3 comparisons" in chance


def test_victims_that_did_not_learn_have_no_order() -> None:
    rows = [*clean(), *poisons("em", EM, train_acc=0.142), *poisons("tap", TAP)]
    doubt = "em did not learn: 14.2 % of the images it was shown, chance 10.0 %"
    assert said(rows) == f"em and tap have no order under none: {doubt}." and only(rows).corrected is None
    rows = [*clean(accuracies=(0.12, 0.13)), *poisons("em", EM), *poisons("tap", TAP)]
    assert "clean did not learn under none either: 12.5 % of the test images" in said(rows)


def test_mi_without_a_ceiling_has_no_order() -> None:
    rows = [replace(r, mi=(acc := (r.test_acc or 0) / 10), mi_ceiling=0.8, mi_gap=0.8 - acc) for r in ROWS]
    for metric, sign in (("mi", 1), ("mi_gap", -1)):
        found = only(rows, metric=metric)
        assert found.ordered
        assert found.difference == pytest.approx(sign * (np.mean(EM) - np.mean(TAP)) / 10)
    old = [replace(r, mi_ceiling=None, mi_gap=None) if r.method == "em" else r for r in rows]
    assert not only(old, metric="mi").ordered and "without a ceiling" in only(old, metric="mi").doubt
    assert only(old, metric="mi_gap").doubt == "em has no number"


def test_a_side_without_numbers_is_named() -> None:
    rows = [*poisons("em", EM), row("tap", status="failed", reason="no luck", synthetic=False)]
    assert said(rows) == "em and tap have no order under none: tap has no number."


# Words


def test_the_sentence_says_which_by_how_much_and_how_sure() -> None:
    interval = ttest_ind(TAP, EM, equal_var=False).confidence_interval(0.95)
    ends = f"95 % interval {100 * interval.low:.1f} to {100 * interval.high:.1f}"
    sure = f"{ends}, 3 poisons each"
    expected = f"em lowers accuracy more than tap under none by 12.0 points ({sure})."
    assert said(ROWS) == said(ROWS, "tap", "em") == expected
    against = said([r for r in ROWS if r.method != "tap"], "clean", "em")
    assert against.startswith("em lowers accuracy more than clean under none by 69.5 points (95 %")
    assert against.endswith(", 2 victims of clean and 3 poisons).")
    tied = [*poisons("em", EM), *poisons("tap", (0.22, 0.22, 0.21))]
    assert said(tied).startswith(
        "em and tap have no order under none: they differ by 0.7 points (95 % interval -"
    )


@pytest.mark.parametrize("number", [1, 2])
def test_the_table_fits_80_columns(number: int) -> None:
    names = ("mi-ue", "em-positive")
    found = [
        replace(only(ROWS), defense=f"iss-jpeg{n}", method="mi-ue-trunc" if number == 2 else "")
        for n in range(3)
    ]
    console = Console(width=80, record=True, file=io.StringIO())
    cells = table(found, names if number == 1 else ("A", "B"), "test_acc")
    console.print(grid(cells, "lr", firm=[*cells.columns]))
    lines = console.export_text().splitlines()
    assert len(lines) == 2 + 3 and all(len(line) <= 80 for line in lines)
    assert all("-16.4 to -7.6" in line or "to" in line for line in lines[2:])


# Two runs


def test_two_runs_are_compared_cell_by_cell() -> None:
    longer = [replace(r, setting=OTHER, test_acc=(r.test_acc or 0) + 0.1) for r in ROWS]
    longer = [replace(r, inputs=r.inputs | {"victim": r.inputs["victim"] | {"epochs": 90}}) for r in longer]
    found = of_runs(ROWS, longer, None, "test_acc")
    assert [(own.method, own.defense) for own in found] == [
        ("clean", "none"),
        ("em", "none"),
        ("tap", "none"),
    ]
    assert all(own.paired and own.difference == pytest.approx(-0.1) for own in found)
    assert [own.units for own in found] == [(2, 2), (3, 3), (3, 3)]  # of clean its victims
    assert differs(ROWS, longer) == ["victim.epochs 30, 90"]
    revised = [
        replace(r, inputs=r.inputs | {"method": r.inputs["method"] | {"revision": 2}}) for r in ROWS[:4]
    ]
    assert differs(ROWS, revised) == ["clean.revision 1, 2", "em.revision 1, 2"]
    other = [replace(r, inputs=r.inputs | {"seed": 8}) for r in longer]
    assert not any(own.paired for own in of_runs(ROWS, other, None, "test_acc"))
    strange = [
        replace(r, inputs=r.inputs | {"data": r.inputs["data"] | {"digest": "e" * 64}}) for r in longer
    ]
    with pytest.raises(BadInput, match="are of other images"):
        of_runs(ROWS, strange, None, "test_acc")
    with pytest.raises(BadInput, match="no cell in common"):
        of_runs(ROWS, [replace(r, method="emax") for r in longer], None, "test_acc")


# The verb


def stored(folder: Path, rows: Sequence[Row]) -> Path:
    for own in rows:
        save(keyed(own), folder / "rows")
    return folder


def asked(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = main(["compare", *argv])
    return code, *capsys.readouterr()


def test_the_verb_says_the_sentence_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = stored(tmp_path / "run", ROWS)
    code, text, _ = asked(capsys, "em", "tap", "--out", str(out))
    assert code == 0 and text.startswith("em lowers accuracy more than tap under none by 12.0 points")
    assert all(len(line) <= 80 for line in text.splitlines())
    assert [path.name for path in out.iterdir()] == ["rows"]


def test_the_verb_compares_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, off in (("one", 0.0), ("other", 0.05)):
        stored(
            Path(name), [replace(r, test_acc=(r.test_acc or 0) + off * (1 + r.poison_rep / 9)) for r in ROWS]
        )
    code, text, _ = asked(capsys, "one", "other")
    text = " ".join(text.split())
    assert code == 0 and "em under none: accuracy is lower in A than in B by 5.6 points" in text
    assert "A: one" in text and "B: other" in text and "They differ in no input." in text


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["em", "tup"], "unknown method 'tup'; did you mean 'tap'?"),
        (["em", "em"], "em is given twice"),
        (["em", "tap", "--defenses", "gray"], "unknown defense 'gray'"),
        (["em", "tap", "--metric", "acc"], "unknown metric 'acc'"),
        (["em", "tap", "--setting", "9"], "unknown setting '9'"),
        (["em", "tap", "--out", "absent"], "absent has no rows/"),
    ],
)
def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], says: str) -> None:
    more = [] if "--out" in argv else ["--out", str(stored(tmp_path, ROWS))]
    code, text, error = asked(capsys, *argv, *more)
    assert (code, text) == (2, "") and says in error and len(error.splitlines()) == 1
