"""Tables -> Markdown, CSV and LaTeX by pandas, and the terminal by rich."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import ceil, isnan
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from bench.core.files import write_atomically
from bench.core.texts import printable
from bench.report.tables import Table

SIDES: dict[str, Literal["left", "right"]] = {"l": "left", "r": "right"}
ALIGN = "lr"  # of a Table: names to the left, all else to the right
SPACE = 2  # between columns of the terminal
# Own escaping, since Styler leaves < > | as they are, which LaTeX's default fonts print as other signs, makes
# no minus of a hyphen, and has neither captions nor notes escaped.
SPECIAL = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "±": r"$\pm$",
        "†": r"$^\dagger$",
        "‡": r"$^\ddagger$",
        "ρ": r"$\rho$",
        "×": r"$\times$",
        "–": "--",
    }
)
UNPRINTED = re.compile(r"[\x00-\x1f\x7f-\x9f]")
FOREIGN = re.compile(r"[^\x00-\u017f]")
TAG = re.compile(r"<(?=[a-z/!?])", re.IGNORECASE)  # begins one, which Markdown passes on
FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
NUMBER = re.compile(r"[+-]?[\d.]*(e[+-]?\d+)?( ±[\d.]+)?|-", re.IGNORECASE)
PAGE, GAP = 76, 3  # digits on a line of LaTeX's article in small print, and between columns
SIGN = re.compile(r"(?<![\w-])-(?=\d)")  # a hyphen that makes a number negative


def write(
    contents: Mapping[str, str | bytes], out: Path, derived: re.Pattern[str] | None = None
) -> list[Path]:
    """Write files by name into a folder, each atomically; returns their paths.

    derived: names of what an earlier call may have left; where there is no new file of the stem, it goes.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_atomically(out / name, content)
    stems = {Path(name).stem for name in contents}
    for path in out.iterdir():
        if derived and derived.fullmatch(path.name) and path.stem not in stems:
            path.unlink(missing_ok=True)  # another run in this folder may be as far
    return [out / name for name in contents]


def csv(records: pd.DataFrame | Iterable[Mapping[str, Any]], columns: Sequence[str] | None = None) -> str:
    """Write a line for each record; without columns they are those of the records."""
    # dtype object: whole numbers stay whole beside an empty cell
    frame = pd.DataFrame(records, columns=columns, dtype=object)  # type: ignore[arg-type]
    cells = [[*map(data_only, values)] for values in frame.itertuples(index=False, name=None)]
    safe = pd.DataFrame(cells, columns=[*map(data_only, frame.columns)], dtype=object)
    return safe.to_csv(index=False, lineterminator="\n")


def data_only(value: Any) -> Any:
    """Have no spreadsheet take a text for a formula: an apostrophe before what could begin one.

    Numbers, negative ones too, are no text. Source: OWASP, "CSV Injection".
    """
    if not isinstance(value, str):
        return value
    value = value.replace("\r\n", "\n").replace("\r", "\n")  # which pandas does not quote
    return f"'{value}" if FORMULA.match(value) and not NUMBER.fullmatch(value) else value


def plain(value: object, absent: str = "-") -> str:
    """Show a value to people: three digits after the point, and absent where there is nothing."""
    if value is None or (isinstance(value, float) and isnan(value)):
        return absent
    return f"{value:.3f}".replace("inf", "infinite") if isinstance(value, float) else printable(value)


def _cells(table: Table) -> pd.DataFrame:
    """Methods down, defenses across."""
    lines = [[method, *table.line(method)] for method in table.methods]
    return pd.DataFrame(lines, columns=["method", *table.columns])


# Markdown


def markdown(cells: pd.DataFrame, align: str = "l", absent: str = "-") -> str:
    """Write a table between pipes. align: l or r for each column, the last for all that follow."""

    def piped(value: object) -> str:
        return in_markdown(plain(value, absent)).replace("|", r"\|")

    padded = cells.map(piped).to_markdown(
        index=False,
        headers=[piped(name) for name in cells.columns],
        disable_numparse=True,
        colalign=[SIDES[side] for side in align.ljust(cells.shape[1], align[-1])],
    )
    return re.sub(" {2,}", " ", padded)  # without padding a longer cell changes no other line


def in_markdown(text: object) -> str:
    """Write a line of Markdown that has neither HTML nor links of its own."""
    return TAG.sub("&lt;", printable(text)).replace("](", "]\\(")


def captioned(table: Table) -> str:
    """Write a table in Markdown between its caption and its notes."""
    notes = [f"    {printable(note)}" for note in (*table.notes(), table.footnote)]  # as code
    return "\n".join([in_markdown(table.caption), "", markdown(_cells(table), ALIGN), "", *notes, ""])


# LaTeX


def latex(table: Table, label: str) -> str:
    r"""Write a table environment for a paper that loads booktabs, its notes in small print below.

    label: what \ref{tab:...} finds it by. In bold: what protects best under each
    defense, if poisons were repeated. What is too wide for a page stands in parts below each other. Styler
    makes the tabular alone: in its environment there is no place for notes.
    """
    best = table.best()

    def shown(method: str, defense: str, text: str) -> str:
        said = "--" if text == "-" else escaped(text)
        return rf"\textbf{{{said}}}" if (method, defense) in best else said

    texts = [
        [escaped(m), *(shown(m, d, text) for d, text in zip(table.columns, table.line(m), strict=True))]
        for m in table.methods
    ]
    cells, parts = pd.DataFrame(texts, columns=["method", *table.columns]), []
    for columns in _parts(_cells(table)):
        style = cells.iloc[:, columns].style.hide(axis="index").format_index(escaped, axis=1)
        parts.append(style.to_latex(hrules=True, column_format="l".ljust(len(columns), "r")).rstrip("\n"))
    named = re.sub(r"[^\w.:-]+", "-", label)
    notes = [*table.notes(), table.footnote]
    return "\n".join(
        [
            *(r"\begin{table}", r"\centering\small"),
            rf"\caption{{{escaped(table.caption)}}}\label{{tab:{named}}}",
            "\n\\par\\medskip\n".join(parts),
            *(rf"\par\raggedright\footnotesize {escaped(' '.join(note.split()))}" for note in notes),
            *(r"\end{table}", ""),
        ]
    )


def _parts(cells: pd.DataFrame) -> Iterator[list[int]]:
    """Yield the first column with as many others as a page is wide, then with the next ones, and so on."""
    wide = [GAP + max(len(str(text)) for text in (name, *values)) for name, values in cells.items()]
    starts, taken = [1], wide[0]
    for column in range(1, len(wide)):
        if taken + wide[column] > PAGE and column > starts[-1]:
            starts, taken = [*starts, column], wide[0]
        taken += wide[column]
    for start, end in pairwise([*starts, len(wide)]):
        yield [0, *range(start, end)]


def escaped(value: object) -> str:
    """Write a text such that LaTeX prints it, whatever it holds; signs that fonts lack by number."""
    text = "$-$".join(part.translate(SPECIAL) for part in SIGN.split(UNPRINTED.sub(" ", str(value))))
    return FOREIGN.sub(lambda sign: rf"\texttt{{U+{ord(sign[0]):04X}}}", text)


# Terminal


def show(tables: Sequence[Table], console: Console) -> None:
    """Print tables with their captions and notes, in blocks of defenses where the terminal is narrow."""
    if not tables:
        console.print("no rows")
    for table in tables:
        console.print(line(table.caption))
        for cells, first, width in _blocks(_cells(table), console.width):
            console.print()
            console.print(grid(cells, ALIGN, first=first, width=width))
        for note in table.notes():
            console.print(line(note))
        console.print(line(table.footnote, "dim"))
        console.print()


def line(text: object, style: str = "") -> Text:
    """Make a line for the terminal of any text: no markup, no emoji, nothing that moves the cursor."""
    return Text(printable(text), style)


def grid(
    cells: pd.DataFrame,
    align: str = "l",
    *,
    firm: Collection[str] = (),
    first: int | None = None,
    width: int | None = None,
) -> RichTable:
    """Lay out a table for the terminal; all is text, and nothing markup. align: as of markdown.

    firm: columns whose cells stay on one line; first, width: the most characters of the first, of the others.
    """
    shown = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, SPACE - 1, 0, 0))
    sides = align.ljust(cells.shape[1], align[-1])
    for index, (name, side) in enumerate(zip(map(printable, cells.columns), sides, strict=True)):
        head, form = line(name), dict[str, Any](no_wrap=True)
        if first is not None and index == 0:
            form = {"min_width": first, "max_width": first, "overflow": "fold"}
        elif name not in firm:
            most = max(1, width or len(name))
            lines = re.findall(rf".{{1,{most}}}(?:(?<=[-_@ ])|$)|.{{1,{most}}}", name)  # broken behind these
            head, form = Text("\n".join(map(str.strip, lines))), {"max_width": width, "overflow": "fold"}
        shown.add_column(head, justify=SIDES[side], **form)
    for values in cells.itertuples(index=False):
        shown.add_row(*(Text(plain(value)) for value in values))
    return shown


def _blocks(cells: pd.DataFrame, width: int) -> Iterator[tuple[pd.DataFrame, int, int]]:
    """Yield the columns that fit beside the first, how wide that is and each other may get.

    No number is ever cut: where a name leaves no room for one, it is the name that is folded.
    """
    first, rest = cells.iloc[:, :1], cells.iloc[:, 1:]
    longest = max(len(word) for cell in rest.to_numpy().flat for word in cell.split())
    names = max(map(len, [*first.columns, *first.to_numpy().flat]))
    names = max(1, min(names, width - longest - SPACE))
    room = width - names
    most = max(1, room // (longest + SPACE))
    total = rest.shape[1]
    size = ceil(total / ceil(total / most))
    for start in range(0, total, size):
        block = rest.iloc[:, start : start + size]
        yield pd.concat([first, block], axis=1), names, room // block.shape[1] - SPACE
