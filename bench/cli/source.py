"""What a method costs, and where it comes from, in few words."""

from __future__ import annotations

import re
import sys

from bench.experiment.declared import declare
from bench.experiment.registry import Plugin

PARAGRAPHS = re.compile(r"\n\s*\n|\n(?=Differs from the paper:)")
DATED = re.compile(r".*?(?:\b(?:19|20)\d\d\b|arXiv \d{4}\.\d{5})", re.S)  # up to its year
UNSOURCED = "no source"
SHORTER = {"surrogate": "net", "clean data": "data"}  # needs, in a narrow column


def cost(plugin: Plugin) -> float:
    """Count a method's passes over the images at full length, in those of EM."""
    passes: float = plugin.value.passes
    return passes / float(declare("bench.core.method").EM_PASSES)


def source(plugin: Plugin) -> str:
    """Read authors, title, venue and year in the second paragraph of the plugin's file; or "no source".

    A variant with a source of its own has it there after its name and a colon.
    """
    module = sys.modules[plugin.module or type(plugin.value).__module__]
    _, said, *_ = [*PARAGRAPHS.split((module.__doc__ or "").strip()), "", ""]
    own = re.split(rf"(?<!\S){re.escape(plugin.name)}: ", " ".join(said.split()))[-1]
    found = None if own.startswith("No source") else DATED.match(own)
    return found[0] if found else UNSOURCED


def short(cited: str) -> str:
    """Shorten a source to its first author and year: Fowl et al. 2021."""
    authors, _, _ = cited.partition(' "')
    first, *others = authors.removesuffix(",").removesuffix(" et al.").split(", ")
    alone = not others and " et al." not in authors
    year = re.search(r"arXiv (\d\d)|(\d{4})$", cited)
    if year is None:
        return cited
    return f"{first}{'' if alone else ' et al.'} {year[2] or f'20{year[1]}'}"


def line(plugin: Plugin) -> tuple[str, str, str, str, str, str]:
    """Say name, threat model, form, needs, cost and source, as short as a column of a terminal."""
    value = plugin.value
    needs = ", ".join(SHORTER.get(need, need) for need in value.needs)
    said = f"{value.threat}", value.form.removesuffix("-wise"), needs or "nothing"
    return plugin.name, *said, f"{cost(plugin):.2g}", short(source(plugin))
