"""Generated texts: Markdown templates, each beside the module that fills it and named like it.

A template has a sentence, or a condition, or both on a line of its own. As in Markdown, lines that follow
each other are one paragraph or item (\\ at the end of a line keeps the break) and several blank lines are
one. Tables, headings and code stay as they are; blank lines around tables and headings come by themselves.
"""

from __future__ import annotations

import re
from importlib.resources import files
from textwrap import fill

from jinja2 import Environment, FunctionLoader, StrictUndefined

from bench.results.select import one_line

ALONE = ("#", "|", "![", "    ")  # nothing is joined to such a line
OPENS = (*ALONE, "- ")  # nor such a line to the one before it
CONDITIONAL = re.compile(r"^(\{% (?:if|for) .+)\{% (endif|endfor) %\}\n", re.M)  # a whole line


def render(module: str, width: int | None = None, **values: object) -> str:
    """Fill MODULE.md.j2; paragraphs and items are wrapped at width characters, if there is one."""
    lines = [""]
    for line in TEMPLATES.get_template(module).render(values).splitlines():
        last = lines[-1]
        parted = last.startswith(ALONE) or last.endswith("\\") or line.startswith(OPENS)
        if last and line.strip() and not parted:
            lines[-1] = f"{last} {line.strip()}"
        elif last or line.strip():
            kinds = {last[:1], line[:1]}
            if last and line.strip() and kinds & {"#", "|"} and kinds != {"|"}:
                lines.append("")
            lines.append(line.rstrip())
    for i, line in enumerate(lines):
        lines[i] = line.removesuffix("\\")
        if width and not line.startswith(ALONE):
            lines[i] = fill(lines[i], width, subsequent_indent="  " if line.startswith("- ") else "")
    return "\n".join(lines).strip() + "\n"


def percent(share: float) -> str:
    """Write a share in [0,1] as percent with one digit after the point."""
    return f"{100 * share:z.1f}"


def nats(value: float) -> str:
    """Write MI or a gap of it."""
    return f"{value:z.3f}"


def sentence(said: str) -> str:
    """Begin with a capital and end with a full stop; nothing stays nothing."""
    return f"{said[:1].upper()}{said[1:]}." if said else ""


def _source(module: str) -> tuple[str, str, None]:
    """Read a template and say where it lies; a line that is conditional as a whole goes with its break."""
    package, _, name = module.rpartition(".")
    path = files(package) / f"{name}.md.j2"
    return CONDITIONAL.sub(r"\1\n{% \2 +%}", path.read_text("utf-8")), str(path), None


TEMPLATES = Environment(  # no autoescape: Markdown is no HTML, and a reader of the file would see &lt; for <
    loader=FunctionLoader(_source), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
TEMPLATES.filters |= {"percent": percent, "nats": nats, "one_line": one_line, "sentence": sentence}
