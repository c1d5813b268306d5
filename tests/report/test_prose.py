"""Generated texts: what a line of a template becomes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from bench.report.prose import render

TEMPLATE = """\
# Title
One sentence.
{% if more %}Another one: {{ more }}.{% endif %}
The last, which\\
breaks here.

{% if never %}Nothing.{% endif %}

{% for name in names %}- {{ name }}{% endfor %}
  and more of it.

    code a  b
    code c
| a | b |
|:--|:--|
"""


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with a template, which imports nothing."""
    package = tmp_path / "made_up"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "text.md.j2").write_text(TEMPLATE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "made_up", raising=False)
    return "made_up.text"


def test_lines_that_follow_each_other_are_one_paragraph(made: str) -> None:
    code = "    code a  b\n    code c\n\n| a | b |\n|:--|:--|\n"
    assert render(made, more="<i>", never=False, names=["x", "y"]) == (
        "# Title\n\nOne sentence. Another one: <i>. The last, which\nbreaks here.\n\n"
        f"- x\n- y and more of it.\n\n{code}"
    )
    assert render(made, more="", never=False, names=[]) == (
        f"# Title\n\nOne sentence. The last, which\nbreaks here.\n\n  and more of it.\n\n{code}"
    )


def test_long_paragraphs_and_items_are_wrapped_and_nothing_else(made: str) -> None:
    said = render(made, 16, more="word " * 3, never=False, names=["x " * 9])
    assert all(len(line) <= 16 for line in said.splitlines())
    assert "\n- x x x x x x x\n  x x and more\n  of it.\n" in said and "    code a  b\n    code c\n" in said


def test_a_value_that_is_lacking_is_an_error(made: str) -> None:
    with pytest.raises(UndefinedError, match="more"):
        render(made, names=[], never=False)
