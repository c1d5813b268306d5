"""LaTeX of tables: it compiles where LaTeX is, and its structure is right on every machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.report.formats import escaped, latex
from bench.report.leaderboard import TEX, tables_of
from bench.report.summary import collect
from bench.report.tables import Table
from bench.results.rows import Row, load_all
from support.evidence import TRACE, grid, row

PDFLATEX = shutil.which("pdflatex")
QUICK = Path(__file__).parents[2] / "results" / "quick" / "seed0" / "rows"
DOCUMENT = r"""\documentclass{article}
\usepackage{booktabs}
\begin{document}
\input{table}
See Table~\ref{tab:accuracy}.
\end{document}
"""
HOSTILE = "a_b & 5% {x} ~ ^ \\ #1 $ <|> ± † ‡ ρ \x1b[1m 噪声 é"


def table_of(rows: Sequence[Row], poisons: int = 2) -> Table:
    """The accuracies of photographs, each of so many poisons."""
    (summary,) = collect([replace(own, synthetic=False) for own in rows])
    cells = {pair: replace(cell, poisons=poisons) for pair, cell in summary.accuracy.cells.items()}
    return replace(summary.accuracy, cells=cells)


def hostile() -> list[Row]:
    rows = [row(HOSTILE, HOSTILE, data=HOSTILE), row("em", HOSTILE, data=HOSTILE)]
    return [*rows, row("tap", HOSTILE, acc=None, data=HOSTILE, status="failed", reason=HOSTILE)]


def wide() -> list[Row]:
    defenses = ["none", "adversarial-training", *(f"iss-jpeg{q}" for q in range(10, 100, 5))]
    return [row(m, d, rep) for m in ("clean", "em", "mi-ue") for d in defenses for rep in range(2)]


MADE = {"plain": grid(), "hostile": hostile(), "wide": wide()}


def problems(text: str) -> list[str]:
    """What would keep a table from compiling, or from being referred to."""
    bare = re.sub(r"\\[\\{}$&#%_]", "", text.replace(r"\\", ""))  # without what is escaped
    found, opened = [], list[str]()
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            opened.append(name)
        elif not opened or opened.pop() != name:
            found.append(f"{name} ends and has not begun")
    found += [f"{name} does not end" for name in opened]
    found += [f"{sign} {n} times" for sign, n in (("table", text.count(r"\begin{table}")),) if n != 1]
    if len(re.findall(r"\\caption\{.*\}\\label\{tab:[\w-]+\}$", text, re.M)) != 1:
        found.append("no caption with a label behind it")
    depth = 0
    for sign in bare:
        depth += {"{": 1, "}": -1}.get(sign, 0)
        if depth < 0:
            break
    found += ["braces"] * (depth != 0) + ["$"] * (bare.count("$") % 2)
    spec = ""
    for line in text.splitlines():
        spec = (re.findall(r"\\begin\{tabular\}\{(\w+)\}", line) or [spec])[0]
        cells = len(re.findall(r"(?<!\\)&", line))
        expected = len(spec) - 1 if line.endswith(r"\\") else 0
        found += [f"{cells} & for {spec}: {line}"] * (cells != expected)
    math = re.sub(r"\$[^$]*\$", "", bare)
    found += [f"{sign} is not escaped" for sign in "#%_^~<>|" if sign in re.sub(r"\\label\{\S+\}", "", math)]
    return found + [f"no font has {sign}" for sign in {*text} if not 32 <= ord(sign) < 0x180 and sign != "\n"]


def texts() -> dict[str, tuple[str, list[Row]]]:
    """Tables of made rows, and all kinds that a run of the suite writes."""
    found = {name: (latex(table_of(rows), "accuracy"), rows) for name, rows in MADE.items()}
    rows = load_all(QUICK)
    (summary,) = collect(rows)
    assert summary.board is not None
    kinds = {"mi": summary.mi} | dict(zip(TEX, tables_of(summary.board), strict=True))
    return found | {name or "ranking": (latex(table, "accuracy"), rows) for name, table in kinds.items()}


@pytest.mark.parametrize("kind", [*MADE, "mi", "ranking", *filter(None, TEX)])
def test_a_table_compiles_in_a_minimal_document(kind: str, tmp_path: Path) -> None:
    text, rows = texts()[kind]
    assert problems(text) == []
    if PDFLATEX:  # elsewhere its structure has to do
        (tmp_path / "table.tex").write_text(text, encoding="utf-8")
        (tmp_path / "main.tex").write_text(DOCUMENT)
        for _ in range(2):  # for the reference
            command = [PDFLATEX, "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
            ended = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
            assert ended.returncode == 0, ended.stdout.decode("utf-8", "replace")[-2000:]
        log = (tmp_path / "main.log").read_text("utf-8", "replace")
        assert "undefined" not in log and "Missing character" not in log
        if rows[0].method != HOSTILE:  # a name that is longer than a page is wide
            assert "Overfull" not in log


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"\end{tabular}", ""),
        (r"\label{tab:accuracy}", ""),
        ("em &", "e_m &"),
        ("em &", "em & 1 &"),
        ("em &", "em ρ &"),
        ("em &", "em $ &"),
        (r"\caption{", r"\caption{{"),
    ],
)
def test_what_would_not_compile_is_seen(old: str, new: str) -> None:
    text = latex(table_of(grid()), "accuracy")
    assert old in text and problems(text.replace(old, new, 1)) != []


def test_every_column_of_a_wide_table_is_there_once() -> None:
    table = table_of(wide())
    heads = re.findall(r"^method & (.*) \\\\$", latex(table, "accuracy"), re.M)
    assert len(heads) > 1
    names = [name for head in heads for name in head.split(" & ")]
    assert names == [escaped(name) for name in table.defenses]


def bold(text: str) -> list[str]:
    return re.findall(r"\\textbf\{(.*?)\}", text)


def test_the_best_is_bold_and_no_control_and_nothing_in_doubt() -> None:
    contestants = [row(m, acc=acc) for m, acc in (("em", 0.2), ("tap", 0.3), ("emax", 0.4))]
    rows = [row("random", acc=0.1, control=True), *contestants]
    table = table_of(rows)
    assert bold(latex(table, "accuracy")) == ["20.0"]
    doubted = replace(table.cells["em", "none"], doubt="did not learn: 14.2 %, chance 10.0 %")
    text = latex(replace(table, cells={**table.cells, ("em", "none"): doubted}), "accuracy")
    assert bold(text) == ["30.0"] and r"em & 20.0$^\ddagger$ \\" in text
    assert r"$^\ddagger$ em x none: did not learn: 14.2 \%, chance 10.0 \%" in text


def test_nothing_is_bold_where_nothing_can_be_compared() -> None:
    """One poison says nothing of an order, and one method is the best of none."""
    once = latex(table_of(grid(), poisons=1), "accuracy")
    assert bold(once) == [] and "one poison a method: no order" in once
    alone = latex(table_of([row("em"), row("clean", control=True)]), "accuracy")
    assert bold(alone) == [] and "no order" not in alone
    (summary,) = collect(grid())
    assert bold(latex(summary.mi, "mi")) == [] and summary.accuracy.best() == set()  # synthetic images


# What is printed


def test_latex_prints_every_sign_as_it_is() -> None:
    assert escaped("a_b & 5% {x} ~ ^ \\ #1 $") == (
        r"a\_b \& 5\% \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{} \#1 \$"
    )
    assert escaped("噪 é\x1b") == r"\texttt{U+566A} é "
    (summary,) = collect([row("m_1", acc=0.25), row("m_1", rep=1, acc=0.35)])
    assert r"m\_1 & 30.0 $\pm$7.1 \\" in latex(summary.accuracy, "accuracy").splitlines()


def test_reasons_stand_below_the_latex_table() -> None:
    (summary,) = collect([row("em", acc=None, status="failed", reason=TRACE)])
    text = latex(summary.accuracy, "accuracy")
    assert "& failed" in text
    assert "em x none: failed: RuntimeError" in text.partition(r"\end{tabular}")[2]
