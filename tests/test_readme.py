"""README stays true: its plugins work, its tables name every plugin, its commands parse."""

from __future__ import annotations

import ast
import re
import shlex
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.cli.main import parser
from bench.core.contract import check_delta
from bench.core.types import Split
from bench.experiment.registry import KINDS, catalog
from bench.report.formats import captioned
from bench.report.summary import collect
from bench.results.rows import load_all
from support.toys import toy_lab

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.S)


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    for source in EXAMPLES:
        kind = "methods" if "bench.core.method" in source else "defenses"
        (tmp_path / kind).mkdir(exist_ok=True)
        (tmp_path / kind / "example.py").write_text(source, encoding="utf-8")
    return tmp_path


def test_example_method_keeps_the_contract(plugins: Path, split: Split) -> None:
    (name,) = set(catalog("methods", plugins).variants) - set(catalog("methods").variants)
    method = catalog("methods", plugins).get(name).value
    check_delta(method.craft(split, toy_lab()), split.images, method.threat, name)


def test_example_defense_changes_the_images(plugins: Path, split: Split) -> None:
    (name,) = set(catalog("defenses", plugins).variants) - set(catalog("defenses").variants)
    shown = catalog("defenses", plugins).get(name).value.prepare(split.images)
    assert shown.shape == split.images.shape
    assert not torch.equal(shown, split.images)


@pytest.mark.parametrize("kind", KINDS)
def test_every_plugin_is_in_a_table(kind: str) -> None:
    found = catalog(kind)
    named = set(re.findall(r"`([^`\n]+)`", README))
    assert set(found.variants) <= named
    assert set(found.patterns) <= named


def test_commands_parse() -> None:
    commands = re.findall(
        r"python -m bench (run .*|list|"
        r"(?:table|report|leaderboard|compare|export|verify|protect|check|study|mi-check|claims) .*?)(?:`|$)",
        README,
        re.M,
    )
    assert commands
    for command in commands:
        parser().parse_args(shlex.split(command.replace("\\", "")))


def test_no_placeholder_is_left() -> None:
    assert "@@" not in README


PAGES = [ROOT / "README.md", *sorted((ROOT / "results").rglob("README.md"))]


def relative_links(page: Path) -> list[str]:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    return [link for link in links if not re.match(r"\w+:", link)]


def headings(page: Path) -> set[str]:
    """As links name them."""
    found = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_links_to_is_there(page: Path) -> None:
    """Results that are promised, and the page's own sections."""
    for link in relative_links(page):
        path, _, heading = link.partition("#")
        assert (page.parent / path).exists(), link
        assert path or heading in headings(page), link


def test_pages_link_to_results() -> None:
    linking = {page.parent.name for page in PAGES if relative_links(page)}
    assert linking >= {ROOT.name, "studies"}


def tables_in(page: str) -> list[list[list[str]]]:
    """The cells of each table of a page, without the line of rules."""
    blocks = groupby(page.splitlines(), lambda line: line.startswith("|"))
    tables = [[line.strip("|").split("|") for line in block] for is_table, block in blocks if is_table]
    return [[[cell.strip() for cell in line] for line in (head, *body)] for head, _, *body in tables]


@pytest.mark.parametrize("name", ["accuracy.md", "leaderboard.md"])
def test_the_real_tables_are_those_of_the_stored_rows(name: str) -> None:
    first, *_ = tables_in((ROOT / "results" / "reference" / name).read_text(encoding="utf-8"))
    assert len(first) > 2 and first in tables_in(README)


@pytest.mark.parametrize("name", ["quick", "repeats", "variants"])
def test_accuracies_on_a_page_are_those_of_the_rows_beside_it(name: str) -> None:
    folder = ROOT / "results" / name / ("seed0" if name == "quick" else "")
    page = README if name == "quick" else (folder / "README.md").read_text(encoding="utf-8")
    made = [own.accuracy for own in collect(load_all(folder / "rows"))]
    shown = [sorted(table) for table in tables_in(page)]  # run lists controls first
    assert made and all(sorted(tables_in(captioned(table))[0]) in shown for table in made)


def test_the_settings_page_prints_its_numbers(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    page = (ROOT / "results" / "settings" / "README.md").read_text(encoding="utf-8")
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
