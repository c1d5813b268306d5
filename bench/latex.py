"""Tables -> LaTeX, for a paper that loads booktabs."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bench.tables import Table

SPECIAL = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "†": r"$^\dagger$",
}
SIGN = re.compile(r"(?<![\w-])-(?=\d)")  # a hyphen that makes a number negative


def escaped(text: str) -> str:
    """Text as LaTeX prints it, whatever it holds."""
    parts = SIGN.split(text)
    return "$-$".join("".join(SPECIAL.get(sign, sign) for sign in part) for part in parts)


def latex(table: Table) -> str:
    """A table environment, its notes in small print below."""

    def line(texts: Iterable[str]) -> str:
        return " & ".join("--" if text == "-" else escaped(text) for text in texts) + r" \\"

    return "\n".join(
        [
            r"\begin{table}",
            r"\centering\small",
            rf"\caption{{{escaped(table.caption)}}}",
            rf"\begin{{tabular}}{{l{'r' * len(table.defenses)}}}",
            r"\toprule",
            line(["method", *table.defenses]),
            r"\midrule",
            *(line([method, *table.texts(method)]) for method in table.methods),
            r"\bottomrule",
            r"\end{tabular}",
            *(rf"\par\footnotesize {escaped(' '.join(note.split()))}" for note in table.notes()),
            r"\end{table}",
            "",
        ]
    )
