"""The notebooks in examples/ run from top to bottom, and show what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

from support.pages import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def cells(notebook: Path, kind: str) -> list[str]:
    found = json.loads(notebook.read_text(encoding="utf-8"))
    assert (found["nbformat"], found["nbformat_minor"]) == (4, 5)
    return ["".join(cell["source"]) for cell in found["cells"] if cell["cell_type"] == kind]


def run(notebook: Path) -> dict[str, Any]:
    """Run the cells of code one after the other, as "run all" does; gives the names that they leave."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    with mpl.rc_context({"backend": "agg"}):
        for number, source in enumerate(cells(notebook, "code")):
            exec(compile(source, f"{notebook.name}, cell {number}", "exec"), scope)
    return scope


def test_there_is_a_notebook() -> None:
    assert NOTEBOOKS


def test_the_first_one_runs_and_shows_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    left = run(ROOT / "examples" / "first-steps.ipynb")
    clean, protected, defended = (left[name].test_acc for name in ("clean", "protected", "defended"))
    assert clean > 0.9 and protected < clean - 0.2 and defended > protected + 0.1


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_stored_without_what_it_printed(notebook: Path) -> None:
    """So that a change shows in a diff; the pages that it links to are there."""
    stored = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in stored)
    links = [link for text in cells(notebook, "markdown") for link in text.split("](")[1:]]
    assert links and all((notebook.parent / link.partition(")")[0]).exists() for link in links)
