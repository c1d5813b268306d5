"""The page as a whole, and the figures in it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.core.files import slug
from bench.report.figures.write import name_of
from bench.report.html.sections import cell, measured, ranked
from bench.report.html.warnings import warnings_of_setting
from bench.report.leaderboard import LEGEND
from bench.report.summary import Summary, anchor
from bench.results.describe import crafted_on, devices
from bench.results.identity import shared
from bench.results.rows import SCHEMA, Row
from bench.results.select import one_line

DRAWINGS = ("mi-accuracy", "curves", "jpeg", "cost")


def render(summaries: Sequence[Summary], figures: Mapping[str, Path], stamp: str = "") -> str:
    """Render report.html. figures: name -> path without its ending, as they were written. stamp: its mark."""
    settings = [_setting(summary, summaries, figures) for summary in summaries]
    code = TEMPLATES.get_template("page.js").render()
    script = base64.b64encode(sha256(code.encode()).digest()).decode()  # no other script may run
    page = TEMPLATES.get_template("page.html.j2")
    return page.render(settings=settings, stamp=stamp, code=Markup(code), script=script)


def as_json(values: Mapping[str, Any] | Sequence[Any]) -> str:
    """Write nested values for people, mappings by name."""
    return json.dumps(values, indent=1, ensure_ascii=False, sort_keys=isinstance(values, Mapping))


def said(value: float | None, form: str, scale: float = 1) -> str | None:
    """Write a number; None stays None."""
    return None if value is None else form.format(scale * value)


def several(rows: Sequence[Row], *names: str) -> str:
    """List what rows say of their environment, each once."""
    seen = {" ".join(str(row.environment[name]) for name in names if name in row.environment) for row in rows}
    return "; ".join(sorted(filter(None, seen))) or "unknown"


TEMPLATES = Environment(
    loader=PackageLoader(__package__, ""),
    autoescape=True,  # a str is text wherever it goes in; markup is what templates and `inline` make
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
TEMPLATES.globals |= {"anchor": anchor, "legend": LEGEND, "schema": SCHEMA}
TEMPLATES.filters |= {"as_json": as_json, "one_line": one_line, "said": said, "several": several}


def _setting(summary: Summary, summaries: Sequence[Summary], figures: Mapping[str, Path]) -> dict[str, Any]:
    """Prepare what setting.html.j2 shows."""

    def figure(kind: str) -> Path | None:
        return figures.get(name_of(kind, summary, summaries))

    several = len({own.accuracy.setting for own in summaries}) > 1
    svgs = {kind: path.with_suffix(".svg") for kind in DRAWINGS if (path := figure(kind))}
    pngs = {m: path.with_suffix(".png") for m in summary.methods if (path := figure(f"gallery-{slug(m)}"))}
    return {
        "id": summary.id,
        "heading": summary.about + f", {summary.accuracy.footnote}" * several,
        "warnings": warnings_of_setting(summary),
        "accuracy": measured(summary.accuracy, colored=True),
        "leaderboard": ranked(summary.board),
        "unranked": summary.unranked,
        "mi": measured(summary.mi),
        "correlations": {d: summary.correlation(d) for d in summary.defenses if summary.points(d)},
        "drawings": {kind: inline(svg.read_text("utf-8"), svg.stem) for kind, svg in svgs.items()},
        "costs": summary.costs(),
        "crafted_on": crafted_on(summary.rows),
        "trained_on": devices(row.environment for row in summary.rows if row.train_seconds is not None),
        "gallery": {m: base64.b64encode(png.read_bytes()).decode() for m, png in pngs.items()},
        "without": [method for method in summary.methods if method not in pngs],
        "cells": [cell(summary, m, d) for m in summary.methods for d in summary.defenses],
        "rows": summary.rows,
        "doubted": {pair for pair, shown in summary.accuracy.cells.items() if shown.doubt},
        "controls": sorted(summary.controls),
        "finished": sorted(row.finished for row in summary.rows if row.finished),
        "inputs": shared(summary.rows[0].inputs),
    }


def inline(drawing: str, name: str) -> Markup:
    """Make an SVG file a part of a page: no prolog, no addresses, ids that no other drawing has."""
    start = drawing.index("<svg")
    text = re.sub(r"<metadata>.*?</metadata>", "", drawing[start:], flags=re.S)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r' id="(?!curves?\.)([^"]+)"', rf' id="{name}-\1"', text)  # links go to our own anchors
    return Markup(re.sub(r'(href="|url\()#([\w-]+)', rf"\1#{name}-\2", text))
