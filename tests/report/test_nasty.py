"""One list of nasty names, through every format: what is written is data, and no program of any reader."""

from __future__ import annotations

import csv
import io
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from bench.cli.main import main
from bench.core.texts import printable
from bench.report import formats
from bench.report.figures.style import png_and_svg, style
from bench.report.write import derive
from bench.results.rows import save
from support.evidence import grid
from support.rows import keyed

STEERING = ("\x00", "\x07", "\x08", "\r", "\n", "\x1b", "\x7f", "\x9b", "\u2028", "\u202e", "\u2066")
NASTY = [
    *("=1+1", "+1+cmd", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", "＝1+1"),
    *(
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[a](javascript:alert(1))",
        "![a](http://b/c)",
    ),
    *("a|b", "a\nb", "a\n\\input{/etc/passwd}", "\\input{/etc/passwd}", "$a_b^c$", "%a", "#a{", "a\\\\"),
    *(
        "\x1b[2J\x1b]0;title\x07",
        "\x9b2J",
        "a\rb",
        "a\x00b",
        "abc\u202egpj.exe",
        "a\u2066b",
        ":smile:",
        "[red]a[/red]",
    ),
]


def steers(text: str) -> list[str]:
    return [sign for sign in STEERING if sign != "\n" and sign in text]


@pytest.mark.parametrize("name", NASTY)
def test_csv_holds_no_formula_and_all_else_as_it_is(name: str) -> None:
    text = formats.csv([{name: name, "n": -1.5, "m": "-0.5"}])
    (head, cells) = csv.reader(io.StringIO(text, newline=""))
    for cell in (head[0], cells[0]):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝")) and cell.removeprefix(
            "'"
        ) == name.replace("\r", "\n")
    assert cells[1:] == ["-1.5", "-0.5"]


@pytest.mark.parametrize("name", NASTY)
def test_markdown_is_one_line_without_html_or_links(name: str) -> None:
    text = formats.markdown(pd.DataFrame([[name, 1.0]], columns=["method", name]))
    assert len(text.splitlines()) == 3 and not steers(text)
    assert not re.search(r"<[a-z/!?]", text) and not re.search(r"\]\(", text)


@pytest.mark.parametrize("name", NASTY)
def test_latex_runs_nothing(name: str) -> None:
    said = formats.escaped(name)
    assert "\n" not in said and not steers(said)
    assert not re.search(r"\\(input|include|write|def)\b", said.replace(r"\textbackslash{}", ""))
    assert not re.search(r"(?<!\\)[%#&]", said)


@pytest.mark.parametrize("name", NASTY)
def test_the_terminal_shows_what_is_there_and_moves_no_cursor(name: str) -> None:
    out = io.StringIO()
    console = Console(file=out, width=200, force_terminal=True, no_color=True)
    console.print(formats.grid(pd.DataFrame([[name]], columns=[name])))
    console.print(formats.line(name))
    assert "🙂" not in out.getvalue() and "😄" not in out.getvalue()
    assert not steers(re.sub(r"\x1b\[[\d;]*m", "", out.getvalue()))  # rich's own colours
    assert printable(name) in out.getvalue()


@pytest.mark.parametrize("name", NASTY)
def test_svg_is_xml(name: str) -> None:
    with style():
        figure = Figure(figsize=(2, 1))
        figure.text(0.1, 0.5, name)
        _, svg = png_and_svg(figure)
    assert not steers(svg.decode())
    assert {e.tag.rpartition("}")[2] for e in ElementTree.fromstring(svg).iter()}.isdisjoint(
        {"script", "image"}
    )


@pytest.mark.parametrize("data", ["<script>alert(1)</script>", "a\n\\input{/etc/passwd}"])
def test_a_whole_report_of_nasty_names(tmp_path: Path, capsys: pytest.CaptureFixture[str], data: str) -> None:
    for number, (own, name) in enumerate(zip(grid(), NASTY * 2, strict=False)):
        inputs = own.inputs | {"method": own.inputs["method"] | {"name": name}, "rep": number}
        inputs |= {"defense": own.inputs["defense"] | {"name": NASTY[-1 - number % 3]}}
        named = replace(
            own, method=name, defense=NASTY[-1 - number % 3], rep=number, data=data, inputs=inputs
        )
        save(keyed(replace(named, reason=named.reason and f"{name}\n{name}")), tmp_path / "rows")
    derive(tmp_path, Console(), report=True)
    assert main(["table", str(tmp_path)]) == 0
    assert not steers(capsys.readouterr().out)
    for path in tmp_path.rglob("*.*"):
        if path.suffix in (".md", ".tex", ".svg", ".html"):
            text = path.read_text(encoding="utf-8")
            assert "<script>alert" not in text and "<img src=x" not in text, path
            assert path.suffix != ".tex" or "\\input" not in text.replace(r"\textbackslash{}", "")
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.S)  # the one that may run, and no other
    own = b64encode(sha256(script.encode()).digest()).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["script-src"] == f"'sha256-{own}'" and rules["default-src"] == "'none'"
    assert page.count("<script") == 1
