"""Methods of several threat models: a board each, and beside each other only where that is asked for."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.cli.main import main
from bench.core.threat import Threat
from bench.report.summary import collect
from bench.results.budgets import HEAD, budget_of
from bench.results.rows import Row, load_all, save
from bench.results.select import by_threat
from support.rows import keyed, row

EPS = 8 / 255
THREATS = {
    "clean": Threat("linf", 0.0),
    "em": Threat("linf", EPS),
    "random": Threat("linf", EPS),
    "tap": Threat("linf", EPS),
    "lsp": Threat("l2", 1.3),
    "ar": Threat("l2", 1.0),
    "ops": Threat("l0", 1.0),
    "cuda": Threat("unbounded"),
}
ACCURACIES = dict(zip(THREATS, (0.9, 0.2, 0.89, 0.3, 0.1, 0.15, 0.4, 0.25), strict=True))
BOARDS = {
    "linf-8": ["clean", "em", "random", "tap"],
    "l2-1": ["ar", "clean"],
    "l2-1_3": ["clean", "lsp"],
    "l0-1": ["clean", "ops"],
    "unbounded": ["clean", "cuda"],
}


def cell(method: str, defense: str, acc: float, rep: int, **values: Any) -> Row:
    threat = THREATS[method]
    said = {"norm": threat.norm, "radius": threat.radius}
    plain = {"test_acc": acc, "train_acc": 0.99, "synthetic": False, "craft": said, "linf": 9 / 255}
    inputs = {"method": {"eps": threat.radius if threat.norm == "linf" else 1.0}}
    return row(
        method,
        defense,
        **{"rep" if method == "clean" else "poison_rep": rep},
        **plain | {"inputs": inputs} | values,
    )


def matrix(methods: list[str] = [*THREATS]) -> list[Row]:  # noqa: B006 (not changed)
    return [
        cell(method, defense, ACCURACIES[method] + 0.001 * rep, rep)
        for method in methods
        for defense in ("none", "cutout")
        for rep in range(2)
    ]


def stored(folder: Path, rows: list[Row]) -> Path:
    (folder / "rows").mkdir(parents=True)
    for one in rows:
        save(keyed(one), folder / "rows")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored(tmp_path_factory.mktemp("boards"), matrix())


def of_kind(folder: Path, pattern: str) -> set[str]:
    return {path.name for path in folder.glob(pattern)}


class Ids(HTMLParser):
    """The ids of a page, and where its links go."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids, self.links = Counter[str](), set[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self.ids.update([said["id"]] if said.get("id") else [])
        if (said.get("href") or "").startswith("#"):
            self.links.add(str(said["href"])[1:])


def test_clean_is_in_each_part_and_the_controls_of_its_threat_model() -> None:
    parts = by_threat(matrix()[::-1])
    seen = {threat.slug: sorted({row.method for row in rows}) for threat, rows in parts if threat}
    assert seen == BOARDS and [*seen] == [*BOARDS]  # L-inf, L2, L0, unbounded; by radius


@pytest.mark.parametrize("methods", [["em", "tap", "random", "clean"], ["lsp", "clean"], ["clean"]])
def test_rows_of_one_threat_model_are_one_part_as_they_come(methods: list[str]) -> None:
    rows = matrix(methods)
    assert by_threat(rows) == [(None, rows)]
    (summary,) = collect(rows)
    assert summary.accuracy.threat is None and not summary.accuracy.budgets and summary.id == rows[0].setting
    assert by_threat(matrix(), mix=True) == [(None, matrix())]


def test_a_failed_row_stands_in_the_board_of_what_it_declares(tmp_path: Path) -> None:
    failed = cell("lsp", "none", 0.5, 5, status="failed", reason="x", test_acc=None)
    parts = by_threat([*matrix(["em", "clean"]), failed])
    assert [threat.slug for threat, _ in parts if threat] == ["linf-8", "l2-1_3"]


def test_a_table_for_each(run: Path) -> None:
    """With what was measured of the perturbations beside the accuracies."""
    rows = load_all(run / "rows")
    budgets = {m: budget_of(own for own in rows if own.method == m).texts[1:] for m in THREATS}
    assert main(["table", str(run)]) == 0
    assert of_kind(run, "accuracy*.csv") == {f"accuracy-{board}.csv" for board in BOARDS}
    assert of_kind(run, "accuracy*.png") == {f"accuracy-{board}.png" for board in BOARDS}
    for board, methods in BOARDS.items():
        assert sorted(pd.read_csv(run / f"accuracy-{board}.csv").method.unique()) == sorted(methods)
        accuracy = (run / f"accuracy-{board}.md").read_text(encoding="utf-8")
        assert f"| method | {' | '.join(HEAD[1:])} | none | cutout |" in accuracy  # its title has the model
        caption, _, below = accuracy.partition("| method |")  # of the figure as well, which has no budgets
        assert "L-inf in grey levels" not in caption and "L-inf in grey levels" in below
        (line,) = re.findall(rf"^\| {methods[0]} \|(.*)\|$", accuracy, re.M)
        assert [text.strip() for text in line.split("|")][: len(HEAD) - 1] == budgets[methods[0]]
        text = (run / f"mi-{board}.md").read_text(encoding="utf-8")
        assert not any(f"| {other} |" in text for other in {*THREATS} - {*methods})
    assert main(["table", str(run), "--mix-threats"]) == 0
    assert of_kind(run, "accuracy*.csv") == {"accuracy.csv"}  # those of before are gone
    assert of_kind(run, "mi*") == {"mi.csv", "mi.md", "mi.tex"}
    head, _, *lines = (run / "accuracy.md").read_text(encoding="utf-8").splitlines()[2:]
    assert [cell.strip() for cell in head.strip("|").split("|")] == ["method", *HEAD, "none", "cutout"]
    told = {line.split("|")[1].strip(): line.split("|")[2].strip() for line in lines if line.startswith("|")}
    assert told == {m: str(t) if t.radius else "-" for m, t in THREATS.items()}


def test_a_leaderboard_for_each(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", str(run)]) == 0
    assert of_kind(run, "leaderboard*.csv") == {f"leaderboard-{board}.csv" for board in BOARDS}
    assert "leaderboard-l0-1-budgets.tex" in of_kind(run, "*.tex")
    first = pd.read_csv(run / "leaderboard-linf-8.csv")
    assert first[first.method == "tap"]["rank"].unique() == [2] and {*first.method} == {*BOARDS["linf-8"]}
    assert "# Leaderboard: glyphs, L2 1.3" in (run / "leaderboard-l2-1_3.md").read_text(encoding="utf-8")
    capsys.readouterr()
    assert main(["leaderboard", str(run), "--mix-threats"]) == 0
    assert of_kind(run, "leaderboard*.csv") == {"leaderboard.csv"}
    mixed = pd.read_csv(run / "leaderboard.csv")
    threats = dict(zip(mixed.method, mixed.threat.fillna("-"), strict=True))
    assert threats == {m: str(t) if t.radius else "-" for m, t in THREATS.items()}
    assert mixed.linf.tolist() == pytest.approx([9 / 255] * len(mixed))
    (ranking, *_) = (run / "leaderboard.md").read_text(encoding="utf-8").split("\n\n")[2:]
    assert "threat model" in ranking and "| ops |" in ranking and "L0 1 pixel" in ranking
    assert main(["leaderboard", str(run)]) == 0
    assert "leaderboard.md" not in of_kind(run, "leaderboard*")


def test_a_board_without_the_defenses_is_said_and_the_others_stand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [own for own in matrix(["em", "lsp"]) if (own.method, own.defense) != ("lsp", "cutout")]
    out = stored(tmp_path, rows)
    assert main(["leaderboard", str(out), "--defenses", "cutout"]) == 0
    assert of_kind(out, "*.csv") == {"leaderboard-linf-8.csv"}
    assert "L2 1.3: unknown defense 'cutout'" in capsys.readouterr().out
    assert main(["leaderboard", str(out), "--defenses", "cutot"]) == 2
    assert "L-inf 8/255: unknown defense 'cutot'" in capsys.readouterr().err


def test_a_section_of_the_report_for_each(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run)]) == 0
    page = (run / "report" / "report.html").read_text(encoding="utf-8")
    seen = Ids(page)
    assert max(seen.ids.values()) == 1 and seen.links <= {*seen.ids}
    sections = [name for name in seen.ids if name.startswith("setting.")]
    assert sections == [f"setting.{keyed(matrix()[0]).setting[:8]}-{board}" for board in BOARDS]
    assert ">glyphs, profile quick, L2 1.3</h2>" in page
    said = capsys.readouterr().out
    doubts = [line for line in said.splitlines() if line.startswith("doubt:")]
    assert len({*doubts}) == len(doubts)
    assert main(["report", str(run), "--mix-threats"]) == 0
    mixed = (run / "report" / "report.html").read_text(encoding="utf-8")
    assert len([name for name in Ids(mixed).ids if name.startswith("setting.")]) == 1
    assert all(f">{name}</th>" in mixed for name in HEAD) and ">L0 1 pixel</td>" in mixed.replace("\n", "")


def test_measured_budgets_are_of_all_poisons() -> None:
    own = {"l2_median": 0.5, "l2_max": 0.9, "linf": 4 / 255, "psnr_median": 30.0}
    rows = [
        row("em", poison_rep=0, inputs={"method": {"eps": EPS}}, **own),
        row("em", "cutout", poison_rep=0),
    ]
    rows += [row("em", poison_rep=1, **own | {"l2_median": 0.7, "l2_max": 1.1, "linf": 8 / 255})]
    found = budget_of(rows)
    assert found.measured["l2_median"] == pytest.approx(0.6)  # of a poison, whatever its victims
    assert (found.measured["l2_max"], found.measured["linf"]) == (1.1, 8 / 255)
    assert found.measured["low_share"] is None
    assert found.texts == ["L-inf 8/255", "8.0", "0.60", "1.10", "-", "30.0", "-", "-"]


@pytest.mark.parametrize("pair", [("em", "lsp"), ("ar", "lsp"), ("ops", "cuda")])
def test_methods_of_two_threat_models_are_not_compared_unless_that_is_asked_for(
    run: Path, capsys: pytest.CaptureFixture[str], pair: tuple[str, str]
) -> None:
    asked = ["compare", *pair, "--out", str(run)]
    assert main(asked) == 2
    said = capsys.readouterr().err
    assert all(
        f"{name} is of {THREATS[name]}" in said.replace(f", {pair[1]} of", f", {pair[1]} is of")
        for name in pair
    )
    assert "--mix-threats" in said
    assert main([*asked, "--mix-threats"]) == 0
    assert f"{pair[0]} is of {THREATS[pair[0]]}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("pair", [("em", "tap"), ("em", "clean"), ("clean", "lsp")])
def test_methods_of_one_threat_model_and_clean_are_compared(run: Path, pair: tuple[str, str]) -> None:
    assert main(["compare", *pair, "--out", str(run)]) == 0


def test_one_method_at_two_budgets_in_two_runs(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weaker = [
        replace(
            own,
            craft={"norm": "linf", "radius": 4 / 255},
            inputs=own.inputs | {"method": own.inputs["method"] | {"eps": 4 / 255}},
        )
        for own in matrix(["em"])
    ]
    other = stored(tmp_path, [*matrix(["clean"]), *weaker])
    assert main(["compare", str(run), str(other)]) == 2
    assert "em is of L-inf 8/255 in one run and of L-inf 4/255 in the other" in capsys.readouterr().err
    assert main(["compare", str(run), str(other), "--mix-threats"]) == 0
