"""The page as a whole, and the figures in it."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from bench.evidence import Evidence, anchor, slug
from bench.page import summary
from bench.page.board import leaderboard
from bench.page.cells import cell_sections
from bench.page.elements import Html, join, link, tag, void
from bench.page.flags import flags_of_setting
from bench.plots.write import name_of

TITLE = "Unlearnable examples: methods x defenses"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
WHAT = (
    "Images are perturbed by a method and published; a defense tries to learn from them all the same. A "
    "number is the victim's accuracy on clean test images: low is protection. A click on a number shows all "
    "that is known of it, a click on a heading sorts."
)


def page(everything: Sequence[Evidence], figures: Mapping[str, Path]) -> str:
    """report.html. figures: name -> path without its ending, as they were written."""
    head = join(
        [
            void("meta", charset="utf-8"),
            void("meta", name="viewport", content="width=device-width, initial-scale=1"),
            void("meta", http_equiv="Content-Security-Policy", content=POLICY),
            tag("title", TITLE),
            tag("style", Html(_resource("page.css"))),
        ]
    )
    contents = tag("ul", *(tag("li", link(anchor("setting", e.setting), _heading(e))) for e in everything))
    top = tag("header", tag("h1", TITLE), tag("p", WHAT), tag("nav", contents, aria_label="Settings"))
    settings = join(_setting(e, everything, figures) for e in everything)
    body = tag("body", top, tag("main", settings), tag("script", Html(_resource("page.js"))))
    return "<!DOCTYPE html>\n" + tag("html", tag("head", head), body, lang="en") + "\n"


def _resource(name: str) -> str:
    return resources.files("bench.page").joinpath(name).read_text(encoding="utf-8")


def _setting(evidence: Evidence, everything: Sequence[Evidence], figures: Mapping[str, Path]) -> Html:
    def figure(kind: str, title: str) -> Html:
        name = name_of(kind, evidence, everything)
        return _drawing(figures[name], name, title) if name in figures else Html()

    notes = tag("ul", *(tag("li", note) for note in evidence.accuracy.notes()))
    parts = {
        "Before reading": tag(
            "ul", *(tag("li", text) for text in flags_of_setting(evidence)), class_="flags"
        ),
        "Accuracy": tag("div", summary.heat_map(evidence), notes, id=anchor("accuracy", evidence.setting)),
        "Leaderboard": leaderboard(evidence.board, evidence.unranked),
        "Mutual information": summary.mi_table(evidence),
        "MI against accuracy": join(
            [figure("mi-accuracy", "MI against accuracy"), summary.correlations(evidence)]
        ),
        "Learning curves": figure("curves", "Learning curves"),
        "Cost against protection": join([figure("cost", "Cost"), summary.costs(evidence)]),
        "Gallery": _gallery(evidence, everything, figures),
        "Cells": cell_sections(evidence),
        "Rows": summary.every_row(evidence),
        "Provenance": summary.provenance(evidence),
    }
    ids = {title: anchor("part", evidence.setting, title) for title in parts}
    ways = tag("nav", tag("ul", *(tag("li", link(ids[t], t)) for t in parts)), aria_label="Parts")
    sections = (tag("section", tag("h3", title), part, id=ids[title]) for title, part in parts.items())
    heading = tag("h2", _heading(evidence))
    return tag("section", heading, ways, *sections, id=anchor("setting", evidence.setting), class_="setting")


def _heading(evidence: Evidence) -> str:
    return f"{evidence.about}, setting {evidence.setting[:8]}"


def _gallery(evidence: Evidence, everything: Sequence[Evidence], figures: Mapping[str, Path]) -> Html:
    sheets, without = [], []
    for method in evidence.methods:
        path = figures.get(name_of(f"gallery-{slug(method)}", evidence, everything))
        if path is not None:
            data = base64.b64encode(path.with_suffix(".png").read_bytes()).decode()
            alt = f"{method}: clean images, delta amplified, published images"
            sheets.append(tag("figure", void("img", src=f"data:image/png;base64,{data}", alt=alt)))
        else:
            without.append(method)
    if not sheets:
        return tag("p", "No samples of the published images lie beside the rows.")
    said = tag("p", f"Without samples beside the rows: {', '.join(without)}.") if without else Html()
    return join([*sheets, said])


def _drawing(path: Path, name: str, title: str) -> Html:
    text = inline(path.with_suffix(".svg").read_text(encoding="utf-8"), name)
    return tag("figure", Html(text), class_="drawing", role="img", aria_label=title, tabindex="0")


def inline(drawing: str, name: str) -> str:
    """An SVG file as part of a page: no prolog, no addresses, ids that no other drawing has."""
    start = drawing.index("<svg")
    text = re.sub(r"<metadata>.*?</metadata>", "", drawing[start:], flags=re.S)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r' id="(?!curves?\.)([^"]+)"', rf' id="{name}-\1"', text)  # links go to our own anchors
    return re.sub(r'(href="|url\()#([\w-]+)', rf"\1#{name}-\2", text)
