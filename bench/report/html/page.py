"""The page as a whole, and the figures in it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.core.files import slug
from bench.report.figures.write import name_of
from bench.report.html.cells import cell
from bench.report.html.sections import measured, provenance, ranked
from bench.report.html.warnings import warnings_of_setting
from bench.report.leaderboard import LEGEND
from bench.report.summary import Evidence, anchor
from bench.results.describe import crafted_on, devices
from bench.results.identity import shared
from bench.results.select import last_line

DRAWINGS = ("mi-accuracy", "curves", "cost")


def page(everything: Sequence[Evidence], figures: Mapping[str, Path]) -> str:
    """Render report.html. figures: name -> path without its ending, as they were written."""
    settings = [_setting(evidence, everything, figures) for evidence in everything]
    return TEMPLATES.get_template("page.html.j2").render(settings=settings)


def as_json(values: Mapping[str, Any] | Sequence[Any]) -> str:
    """Write nested values for people, mappings by name."""
    return json.dumps(values, indent=1, ensure_ascii=False, sort_keys=isinstance(values, Mapping))


TEMPLATES = Environment(
    loader=PackageLoader(__package__, ""),
    autoescape=True,  # a str is text wherever it goes in; markup is what templates and `inline` make
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
TEMPLATES.globals |= {"anchor": anchor, "legend": LEGEND}
TEMPLATES.filters |= {"as_json": as_json, "last_line": last_line}


def _setting(
    evidence: Evidence, everything: Sequence[Evidence], figures: Mapping[str, Path]
) -> dict[str, Any]:
    """Prepare what setting.html.j2 shows."""

    def figure(kind: str) -> Path | None:
        return figures.get(name_of(kind, evidence, everything))

    svgs = {kind: path.with_suffix(".svg") for kind in DRAWINGS if (path := figure(kind))}
    pngs = {m: path.with_suffix(".png") for m in evidence.methods if (path := figure(f"gallery-{slug(m)}"))}
    return {
        "id": evidence.setting,
        "heading": f"{evidence.about}, setting {evidence.setting[:8]}",
        "warnings": warnings_of_setting(evidence),
        "accuracy": measured(evidence.accuracy, colored=True),
        "leaderboard": ranked(evidence.board),
        "unranked": evidence.unranked,
        "mi": measured(evidence.mi),
        "correlations": {defense: evidence.correlation(defense) for defense in evidence.defenses},
        "drawings": {kind: inline(svg.read_text("utf-8"), svg.stem) for kind, svg in svgs.items()},
        "costs": evidence.costs(),
        "crafted_on": crafted_on(evidence.rows),
        "trained_on": devices(row.environment for row in evidence.rows if row.train_seconds is not None),
        "gallery": {m: base64.b64encode(png.read_bytes()).decode() for m, png in pngs.items()},
        "without": [method for method in evidence.methods if method not in pngs],
        "cells": [cell(evidence, m, d) for m in evidence.methods for d in evidence.defenses],
        "rows": evidence.rows,
        "provenance": provenance(evidence),
        "inputs": shared(evidence.rows[0].inputs),
    }


def inline(drawing: str, name: str) -> Markup:
    """Make an SVG file a part of a page: no prolog, no addresses, ids that no other drawing has."""
    start = drawing.index("<svg")
    text = re.sub(r"<metadata>.*?</metadata>", "", drawing[start:], flags=re.S)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r' id="(?!curves?\.)([^"]+)"', rf' id="{name}-\1"', text)  # links go to our own anchors
    return Markup(re.sub(r'(href="|url\()#([\w-]+)', rf"\1#{name}-\2", text))
