"""Tables -> LaTeX, for a paper that loads booktabs."""

from __future__ import annotations

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
}


def escaped(text: str) -> str:
    """Text as LaTeX prints it, whatever it holds."""
    return "".join(SPECIAL.get(sign, sign) for sign in text)


def latex(table: Table) -> str:
    """A table environment; reasons for holes are below it as comments."""

    def line(texts: Iterable[str]) -> str:
        return " & ".join(map(escaped, texts)) + r" \\"

    body = [line([method, *table.texts(method)]) for method in table.methods]
    notes = [f"% {' '.join(note.split())}" for note in table.notes()]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escaped(table.caption)}}}",
            rf"\begin{{tabular}}{{l{'r' * len(table.defenses)}}}",
            r"\toprule",
            line(["method", *table.defenses]),
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            *notes,
            "",
        ]
    )
