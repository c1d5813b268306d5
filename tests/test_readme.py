"""README stays true: its tables name every plugin and are those of the stored rows. See docs/test_docs.py."""

from __future__ import annotations

import ast
import re
from itertools import groupby
from typing import Any

import pytest

from bench.experiment.registry import KINDS, catalog
from bench.report.formats import captioned
from bench.report.summary import collect
from bench.results.rows import load_all
from bench.studies.claims.claim import load
from support.pages import DOCS, PAGES, ROOT, relative_links

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_every_plugin_is_in_a_table(kind: str) -> None:
    found = catalog(kind)
    named = set(re.findall(r"`([^`\n]+)`", README))
    assert set(found.variants) <= named
    assert set(found.patterns) <= named


def test_no_placeholder_is_left() -> None:
    assert "@@" not in README


def test_pages_link_to_results() -> None:
    linking = {page.parent.name for page in PAGES if relative_links(page)}
    assert linking >= {ROOT.name, "studies"}


def tables_in(page: str) -> list[list[list[str]]]:
    """The cells of each table of a page, without the line of rules."""
    blocks = groupby(page.splitlines(), lambda line: line.startswith("|"))
    tables = [[line.strip("|").split("|") for line in block] for is_table, block in blocks if is_table]
    return [[[cell.strip() for cell in line] for line in (head, *body)] for head, _, *body in tables]


def stored(name: str) -> list[list[str]]:
    first, *_ = tables_in((ROOT / "results" / "reference" / name).read_text(encoding="utf-8"))
    return first


def test_the_leaderboard_on_its_page_is_that_of_the_stored_rows() -> None:
    found = stored("leaderboard.md")
    assert len(found) > 2 and found in tables_in((DOCS / "leaderboard.md").read_text(encoding="utf-8"))


def test_the_real_table_is_a_part_of_that_of_the_stored_rows() -> None:
    """Six methods under six defenses."""
    head, *body = stored("accuracy.md")
    cells = {(line[0], name): cell for line in body for name, cell in zip(head, line, strict=True)}
    of_results = README.partition("\n## Results")[2]
    (names, *lines), *_ = tables_in(of_results)
    assert len(names) == 7 and len(lines) == 6
    for line in lines:
        assert line == [cells[line[0], name] for name in names]


def test_what_readme_finds_is_in_the_stored_cells() -> None:
    head, *body = stored("accuracy.md")
    of = {
        (line[0], name): float(cell.split()[0].rstrip("°"))
        for line in body
        for name, cell in zip(head[1:], line[1:], strict=True)
        if cell != "-"
    }

    def back(method: str, defense: str) -> float:
        left = of[method, "none"]
        return (of[method, defense] - left) / (of["clean", defense] - left)

    assert f"{of['em', 'none']} %" in README and f"{of['clean', 'none']} %" in README
    assert all(of[m, "none"] < 25 for m in ("em", "em-class", "mi-ue", "tap")) and of["emax", "none"] > 50
    assert all(back(m, "iss-jpeg10") > 0.85 for m in ("em", "tap", "mi-ue"))
    assert 0.4 < back("em-class", "iss-jpeg10") < 0.6 and back("mi-ue", "at-2") > 0.95
    assert back("em", "iss-gray") > 0.95 and abs(back("tap", "iss-gray")) < 0.05
    assert all(abs(back(m, "cutout")) < 0.05 for m in ("em", "tap", "mi-ue"))


def test_the_ranges_in_readme_are_those_of_the_quick_runs() -> None:
    words = " ".join(README.split())
    for method in ("em", "mi-ue", "tap"):
        found = [
            100 * row.test_acc
            for rows in (ROOT / "results" / "quick").glob("**/seed*/rows")
            for row in load_all(rows)
            if (row.method, row.defense) == (method, "none") and row.test_acc is not None
        ]
        assert len(found) == (6 if method == "tap" else 18), "two more victims of each poison"
        assert re.search(rf"`{method}` (leaves )?{min(found):.0f} to {max(found):.0f} %", words), method


def test_each_method_of_the_real_table_has_a_papers_number_or_is_said_to_have_none() -> None:
    (_, *lines), *_ = tables_in(README.partition("\n## Results")[2])
    said = " ".join((ROOT / "docs" / "claims.md").read_text(encoding="utf-8").split())
    (none,) = re.findall(r"No published number of (.+?) is known", said)
    claimed = {own.method for own in load(ROOT / "bench" / "studies" / "claims" / "claims.csv")}
    assert all((line[0] in claimed) != (f"`{line[0]}`" in none) for line in lines)


@pytest.mark.parametrize("name", ["quick", "archive/repeats", "archive/variants"])
def test_accuracies_on_a_page_are_those_of_the_rows_beside_it(name: str) -> None:
    folder = ROOT / "results" / name / ("seed0" if name == "quick" else "")
    page = README if name == "quick" else (folder / "README.md").read_text(encoding="utf-8")
    made = [own.accuracy for own in collect(load_all(folder / "rows"))]
    shown = [sorted(table) for table in tables_in(page)]  # run lists controls first
    assert made and all(sorted(tables_in(captioned(table))[0]) in shown for table in made)


def test_the_settings_page_prints_its_numbers(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    page = (ROOT / "results" / "archive" / "settings" / "README.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"python - <<'EOF'\n(.*?)EOF\n", page, re.S)
    monkeypatch.chdir(ROOT)
    exec(source, {})
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 5
    for line in printed:
        setting, numbers = line.split(maxsplit=1)
        (shown,) = re.findall(rf"^\| {setting} \|.*$", page, re.M)
        assert [cell for cell in map(str.strip, shown.split("|")[5:-1]) if cell != "-"] == [
            str(number) for number in ast.literal_eval(numbers).values()
        ]
