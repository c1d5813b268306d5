"""Tables from hand-made rows: the numbers, the gaps in them, and that they fit."""

from __future__ import annotations

import csv
import io
import math
import re
import subprocess
import sys
from dataclasses import fields, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.report import formats
from bench.report.formats import show
from bench.report.summary import collect
from bench.report.tables import Table
from bench.report.write import DERIVED, files
from bench.results.columns import FLAT
from bench.results.describe import budgets, circumstances
from bench.results.rows import Row
from support.rows import INPUTS, OTHER, SETTING, row


def tables(rows: list[Row], **orders: Any) -> list[Table]:
    return [table for own in collect(rows, **orders) for table in own.tables]


def made(rows: list[Row]) -> dict[str, str]:
    return files(rows, tables(rows))


def write(contents: dict[str, str], out: Path) -> list[Path]:
    return formats.write(contents, out, DERIVED)


def rendered(rows: list[Row], width: int = 80, **orders: Any) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    show(tables(rows, **orders), console)
    return console.export_text()


def read(folder: Path, name: str) -> dict[tuple[str, str], dict[str, str]]:
    with (folder / name).open(newline="") as file:
        return {(line["method"], line["defense"]): line for line in csv.DictReader(file)}


REPS = [row("em", rep=rep, test_acc=acc) for rep, acc in enumerate((0.2, 0.3, 0.7))]


def test_mean_and_sample_deviation(tmp_path: Path) -> None:
    write(made([*REPS, row("clean", test_acc=0.9)]), tmp_path)
    table = read(tmp_path, "accuracy.csv")
    em, clean = table["em", "none"], table["clean", "none"]
    assert float(em["mean"]) == pytest.approx(0.4)
    assert float(em["std"]) == pytest.approx(math.sqrt((0.04 + 0.01 + 0.09) / 2))
    assert (em["n"], clean["n"], clean["std"], em["status"]) == ("3", "1", "", "ok")
    text = (tmp_path / "accuracy.md").read_text()
    assert "| em | 40.0 ±26.5 |" in text and "| clean | 90.0 |" in text
    assert "± standard deviation over 1 to 3 victim seeds" in text


@pytest.mark.parametrize(
    "reps, said",
    [
        ([(0, 0)], None),
        ([(0, 0), (0, 1)], "over 2 victim seeds"),
        ([(0, 0), (1, 0)], "over 2 crafting seeds"),
        (list(product(range(2), range(2))), "over 4 crafting x victim seeds"),
    ],
)
def test_caption_says_what_was_repeated(reps: list[tuple[int, int]], said: str | None) -> None:
    text = " ".join(rendered([row("em", poison_rep=p, rep=r, test_acc=0.5, mi=0.1) for p, r in reps]).split())
    assert (said or "seeds") in text if said else "seeds" not in text


def test_caption_says_the_circumstances(tmp_path: Path) -> None:
    write(made(REPS), tmp_path)
    caption, *_, footnote = (tmp_path / "accuracy.md").read_text().splitlines()
    assert (
        "glyphs (synthetic), profile quick, 4000 training images, victim resnet18, surrogate small, "
        "30 epochs, precision fp32, seed 7." in caption
    )
    assert footnote == "    setting 11111111" and "setting" not in caption


def test_a_caption_says_each_budget_in_its_norm() -> None:
    """An L2 budget has no L-inf bound but the range, which must not pass for one."""
    methods = ({"eps": 1.0, "l2": 1.0}, {"eps": 8 / 255}, {"eps": 4 / 255, "l2": None}, {"eps": 0.0})
    rows = [row(f"m{i}", test_acc=0.5, inputs={"method": method}) for i, method in enumerate(methods)]
    assert budgets(rows) == "L-inf 4/255, L-inf 8/255, L2 1"
    assert ", L2 1, " in circumstances(rows[:1]) and "L-inf" not in circumstances(rows[:1])
    assert budgets(rows[3:]) is None


def test_early_stopping_is_a_column_of_undefended_victims(tmp_path: Path) -> None:
    """By validation: the best epoch on test images is nobody's to choose."""
    curve = {"mi": 0.1, "peak_acc": 0.9}
    rows = [
        row("clean", test_acc=0.9, val_selected_acc=0.88, **curve),
        *(row("em", rep=rep, test_acc=0.2, val_selected_acc=0.4 + rep / 5, **curve) for rep in (0, 1)),
        row("em", "at-8", test_acc=0.6, val_selected_acc=0.7, **curve),
    ]
    accuracy, mi = tables(rows)
    assert accuracy.columns == ["none", "at-8", "early-stop"] and "early-stop" not in mi.columns
    assert [accuracy.line(method)[-1] for method in ("clean", "em")] == ["88.0", "50.0 ±14.1"]
    assert "early-stop: undefended victims at their best validation epoch" in accuracy.caption
    write(made(rows), tmp_path)
    assert float(read(tmp_path, "accuracy.csv")["em", "early-stop"]["mean"]) == pytest.approx(0.5)
    assert "| early-stop |" in (tmp_path / "accuracy.md").read_text() and "early-stop" in rendered(rows)
    for without in (rows[-1:], [row("em", test_acc=0.2)]):  # no undefended victim; no curve
        table, _ = tables(without)
        assert "early-stop" not in [*table.columns, table.caption]


def test_accuracy_under_attack_stands_beside_accuracy_and_is_said() -> None:
    own = {"test_acc": 0.58, "mi": 0.1, "robust_acc": 0.312, "robust_radius": 8 / 255, "robust_images": 500}
    rows = [row("clean", "at-8", **own), row("clean", test_acc=0.9, mi=0.1)]
    accuracy, mi = tables(rows)
    assert accuracy.texts("clean") == ["90.0", "58.0 (31.2)"] and "(31.2)" not in mi.texts("clean")[1]
    assert "PGD-20 within L-inf 8/255, on 500 test images." in accuracy.caption
    assert "robust" not in mi.caption and "robust" not in tables(rows[1:])[0].caption
    found = {
        line["defense"]: line["robust"] for line in csv.DictReader(io.StringIO(made(rows)["accuracy.csv"]))
    }
    assert found == {"none": "", "at-8": "0.312"} and "robust" not in made(rows)["mi.csv"]


def test_one_poison_a_method_is_no_order_in_every_format(tmp_path: Path) -> None:
    """Neither of accuracies nor of MI; two poisons of each may have one."""
    accuracies = {"clean": 0.9, "em": 0.2, "tap": 0.3}
    rows = [row(m, test_acc=acc, mi=0.1, synthetic=False) for m, acc in accuracies.items()]
    write(made(rows), tmp_path)
    texts = [
        rendered(rows),
        *((tmp_path / f"{t}.{e}").read_text() for t in ("accuracy", "mi") for e in ("md", "tex")),
    ]
    assert all("one poison a method: no order." in " ".join(text.split()) for text in texts)
    again = [row(m, poison_rep=1, test_acc=acc, mi=0.1, synthetic=False) for m, acc in accuracies.items()]
    assert "no order" not in rendered([*rows, *again])


def mi_rows() -> list[Row]:
    facts: dict[str, Any] = {
        "mi_null": 0.01,
        "mi_estimator": "smi-noisy",
        "mi_images": 500,
        "mi_slices": 50,
        "mi_ceiling": 0.8,
    }
    clean = [row("clean", rep=rep, mi=mi, mi_gap=0.8 - mi, **facts) for rep, mi in enumerate((0.5, 0.7))]
    em = [
        row("em", rep=rep, poison_rep=p, mi=(mi := 0.1 * (1 + p + rep)), mi_gap=0.8 - mi, **facts)
        for p in range(2)
        for rep in range(2)
    ]
    cutout = row("em", "cutout", mi=0.3, mi_gap=0.5, **facts)
    return [*clean, *em, cutout, row("em", "iss", test_acc=0.5)]


def test_gap_is_that_of_the_victims_themselves(tmp_path: Path) -> None:
    """No clean row is needed for it."""
    write(made(mi_rows()), tmp_path)
    table = read(tmp_path, "mi.csv")
    em = table["em", "none"]
    assert float(em["mean"]) == pytest.approx(0.2)
    assert float(em["gap"]) == pytest.approx(0.6)
    ends = float(em["gap_low"]), float(em["gap_high"])  # of poisons, whose means are 0.65 and 0.55
    assert ends == pytest.approx((0.6 - 12.706 * 0.05, 0.6 + 12.706 * 0.05), abs=1e-3)
    assert table["em", "cutout"]["gap_low"] == ""
    assert float(em["null"]) == pytest.approx(0.01)
    assert float(table["em", "cutout"]["gap"]) == pytest.approx(0.5)
    text = (tmp_path / "mi.md").read_text()
    assert "| em | 0.200 ±0.082 (0.600 [-0.035, 1.235]) | 0.300 (0.500) | - |" in text
    said = "smi-noisy, 500 images, 50 slices, mean null 0.010, ceilings 0.800 to 0.800."
    assert said in " ".join(text.split()) and "No gap" not in text


def test_mi_of_an_estimator_without_a_ceiling_has_no_gap_and_says_so_once(tmp_path: Path) -> None:
    old = {"mi_estimator": "smi-ksg", "mi_ceiling": None, "mi_gap": None, "mi_rank": 8}
    rows = [replace(own, **old) if own.mi is not None else own for own in mi_rows()]
    write(made(rows), tmp_path)
    assert read(tmp_path, "mi.csv")["em", "none"]["gap"] == ""
    text = " ".join((tmp_path / "mi.md").read_text().split())
    assert "| em | 0.200 ±0.082 | 0.300 | - |" in text
    assert text.count("No gap: smi-ksg has no ceiling") == 1


def test_caption_says_where_intervals_are(tmp_path: Path) -> None:
    assert "Intervals" not in rendered(mi_rows())
    rows = [row("em", mi=0.1, mi_low=0.08, mi_high=0.12), row("tap", mi=0.2)]
    assert "Intervals over images and directions are in rows.csv." in " ".join(rendered(rows).split())
    write(made(rows), tmp_path)
    assert (
        read(tmp_path, "rows.csv")["em", "none"]["mi_low"],
        read(tmp_path, "rows.csv")["tap", "none"]["mi_low"],
    ) == ("0.08", "")


def broken() -> list[Row]:
    trace = "Traceback (most recent call last):\n  File x\nRuntimeError: [/b] *out* of memory | " + "so " * 60
    return [
        row("clean", "none", test_acc=0.9, mi=0.5),
        row("em", "none", status="failed", reason=trace),
        row("em", "cutout", status="skipped", reason="images are gray"),
        row("tap", "none", rep=0, test_acc=0.25, mi=0.125, mi_gap=0.375),
        row("tap", "none", rep=1, status="failed"),
        row("tap", "cutout", test_acc=0.5, mi_reason="too few images"),
    ]


def test_failed_skipped_and_missing_cells(tmp_path: Path) -> None:
    text = rendered(broken(), 200)
    rows = [line.split() for line in text.splitlines() if re.match(r"(clean|em|tap) +\S", line)]
    assert ["clean", "90.0", "-"] in rows
    assert ["em", "failed", "skipped"] in rows
    assert ["tap", "25.0*", "50.0"] in rows
    assert ["tap", "0.125*", "(0.375)", "-"] in rows
    assert "em x none: failed: RuntimeError: [/b] *out* of memory | so" in text and "File x" not in text
    assert "em x cutout: skipped: images are gray" in text
    assert "tap x none: * the mean of 1; others: no reason given" in text
    assert "tap x cutout: unmeasured: too few images" in text
    write(made(broken()), tmp_path)
    statuses = [cell["status"] for cell in read(tmp_path, "accuracy.csv").values()]
    assert statuses == ["ok", "missing", "failed", "skipped", "partial", "ok"]
    assert r"clean & 90.0 & -- \\" in (tmp_path / "accuracy.tex").read_text().splitlines()
    assert [cell["n"] for cell in read(tmp_path, "mi.csv").values()] == list("100010")


@pytest.mark.parametrize("rows", [REPS, mi_rows(), broken(), [row("em", status="failed")]])
def test_never_nan(tmp_path: Path, rows: list[Row]) -> None:
    texts = [rendered(rows), *(path.read_text() for path in write(made(rows), tmp_path))]
    assert not any(re.search(r"\b(nan|None|inf)\b|-0\.0+\b", text) for text in texts)


def test_a_gap_that_rounds_to_zero_has_no_sign() -> None:
    assert "(0.000)" in rendered([row("clean", mi=0.5), row("em", mi=0.5, mi_gap=-0.00001)])


def test_each_setting_has_its_tables(tmp_path: Path) -> None:
    write(made(REPS), tmp_path)
    assert (tmp_path / "accuracy.md").exists()
    (tmp_path / "accuracy-notes.md").write_text("mine")
    paths = write(made([*REPS, row("em", test_acc=0.6, setting=OTHER)]), tmp_path)
    names = {
        f"{measure}-{s[:8]}.{end}"
        for measure in ("accuracy", "mi")
        for s in (SETTING, OTHER)
        for end in ("csv", "md", "tex")
    }
    assert {path.name for path in paths} == names | {"rows.csv"}
    # tables of an earlier call would say something else, what is not ours stays
    assert {path.name for path in tmp_path.iterdir()} == names | {"rows.csv", "accuracy-notes.md"}
    assert "40.0" in (tmp_path / "accuracy-11111111.md").read_text()
    assert "60.0" in (tmp_path / "accuracy-22222222.md").read_text()


def test_other_parameters_are_no_repetition(tmp_path: Path) -> None:
    rows = [
        row("em", test_acc=acc, mi=0.1, inputs=INPUTS | {"method": {"name": "em", "pgd": {"steps": steps}}})
        for steps, acc in ((5, 0.2), (10, 0.6))
    ]
    write(made([*rows, row("clean", test_acc=0.9, mi=0.5)]), tmp_path)
    text = (tmp_path / "accuracy.md").read_text()
    names = {steps: re.search(rf"(em@[0-9a-f]{{6}}): pgd\.steps {steps}\n", text) for steps in (5, 10)}
    for steps, acc in ((5, "20.0"), (10, "60.0")):
        found = names[steps]
        assert found and f"| {found[1]} | {acc} |" in text
    assert "±" not in text


def test_mixed_environments_are_said() -> None:
    rows = [
        row("em", rep=0, test_acc=0.5, environment={"threads": 1, "device": "cpu"}),
        row("em", rep=1, test_acc=0.5, environment={"threads": 2, "device": "cpu"}),
        row("em", rep=2, status="failed", environment={"threads": 2, "device": "cuda"}),
    ]
    assert "mixed: threads (1, 2)." in " ".join(rendered(rows, 200).split())
    assert "mixed" not in rendered(rows[1:])


def grid_rows(methods: int, defenses: int) -> list[Row]:
    long = ["none", "cutout", "adversarial_training", "iss_jpeg", "iss_grayscale", "ueraser-lite"]
    names = [*long, *(f"defense{i}" for i in range(defenses))][:defenses]
    return [
        row(
            f"method{m}" if m else "clean",
            defense,
            rep,
            test_acc=1 - 0.1 * m - 0.02 * d * rep,
            mi=0.12 * m + 0.1 * rep,
            mi_gap=0.8 - 0.12 * m - 0.1 * rep,
        )
        for m, (d, defense), rep in product(range(methods), enumerate(names), range(2))
    ]


@pytest.mark.parametrize("width", [50, 80, 100])
@pytest.mark.parametrize("defenses", [6, 13])
def test_tables_fit_and_cut_no_number(width: int, defenses: int) -> None:
    rows = grid_rows(5, defenses)
    text = rendered(rows, width)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    words = text.split()
    wide = rendered(rows, 400).split()
    for pattern in (r"\d+\.\d", r"±\d+\.\d", r"\d\.\d{3}", r"\(-?\d\.\d{3}\)"):
        kept, whole = ([word for word in found if re.fullmatch(pattern, word)] for found in (words, wide))
        assert len(whole) >= 4 * defenses and sorted(kept) == sorted(whole)


@pytest.mark.parametrize("width", [30, 50, 80])
def test_names_of_40_characters_leave_every_number(width: int) -> None:
    """A method's and a defense's, of drafts: names are folded, and can still be read."""
    one, other = "m" * 40, "d" * 40
    draft = {"method": {"draft": "abc"}, "defense": {"draft": "abc"}}
    rows = [
        row(m, d, rep=rep, test_acc=0.5 + rep / 10, mi=0.2 + rep / 10, mi_gap=0.3, inputs=draft)
        for m, d, rep in product(("clean", "em", one), ("none", other, "e" * 40), range(2))
    ]
    text = rendered(rows, width)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert [text.count(number) for number in ("55.0", "±7.1", "0.250", "±0.071", "(0.300")] == [9] * 5
    assert all(text.count(name[0]) >= 2 * len(name) for name in (one, other))  # in both tables


def test_a_narrow_head_is_broken_behind_its_signs() -> None:
    lines = rendered(grid_rows(5, 13)).splitlines()
    assert {"ueraser-", "lite"} <= {word for line in lines for word in line.split()}


def test_six_defenses_are_one_block_at_80_columns() -> None:
    assert sum(line.startswith("method ") for line in rendered(grid_rows(5, 6)).splitlines()) == 2


def test_orders() -> None:
    rows = [row(m, d, test_acc=0.5) for m, d in product(("b", "a", "clean"), ("y", "x", "none"))]

    def names(**orders: Any) -> tuple[list[str], list[str]]:
        lines = rendered(rows, **orders).split("\n\n")[1].splitlines()
        return lines[0].split()[1:], [line.split()[0] for line in lines[2:5]]

    assert names() == (["none", "x", "y"], ["clean", "a", "b"])
    assert names(methods=["b", "absent"], defenses=["y", "none"]) == (["y", "none", "x"], ["b", "clean", "a"])


def test_tables_are_derived(tmp_path: Path) -> None:
    rows = [*mi_rows(), *broken()[3:]]
    first = {path: path.read_bytes() for path in write(made(rows), tmp_path / "out")}
    for path in first:
        path.unlink()
    again = {path: path.read_bytes() for path in write(made(rows[::-1]), tmp_path / "out")}
    assert again == first
    assert set((tmp_path / "out").iterdir()) == set(first)


def test_rows_csv_has_a_line_for_each_row(tmp_path: Path) -> None:
    rows = [*mi_rows(), *broken()[1:3]]
    write(made(rows), tmp_path)
    text = (tmp_path / "rows.csv").read_text()
    assert len(text.splitlines()) == 1 + len(rows)
    assert text.splitlines()[0].split(",") == [*(column.name for column in fields(Row)), *FLAT]
    lines = list(csv.DictReader(text.splitlines()))
    assert [line["method"] for line in lines] == sorted(line["method"] for line in lines)
    assert {line["mi_images"] for line in lines} == {"", "500"}  # whole, not 500.0
    assert all('"train_images":4000' in line["inputs"] for line in lines)


def test_rows_csv_needs_no_json_for_what_tells_runs_apart(tmp_path: Path) -> None:
    plugin = {
        "method": {"name": "em", "eps": 0.5, "revision": 3},
        "defense": {"name": "none", "draft": "abc"},
    }
    rows = [
        row("em", test_acc=0.5, inputs=plugin, environment={"device": "cpu x86_64"}),
        row("tap", test_acc=0.1),
    ]
    write(made(rows), tmp_path)
    em, tap = csv.DictReader((tmp_path / "rows.csv").read_text().splitlines())
    said = [em[name] for name in ("net", "surrogate", "eps", "seed", "epochs", "device")]
    assert said == ["resnet18", "small", "0.5", "7", str(rows[0].inputs["victim"]["epochs"]), "cpu x86_64"]
    assert (em["method_revision"], em["training_revision"], em["mi_revision"]) == ("3", "1", "2")
    assert (tap["device"], tap["method_revision"]) == ("", "1")


def test_no_rows(tmp_path: Path) -> None:
    assert [path.name for path in write(made([]), tmp_path)] == ["rows.csv"]
    assert rendered([]).strip() == "no rows"


def test_tables_need_no_torch() -> None:
    code = "import sys, bench.report.write, bench.report.formats; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
