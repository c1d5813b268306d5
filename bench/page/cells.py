"""One section for each cell: all that its rows say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bench.evidence import Evidence, anchor
from bench.page.elements import Html, Value, facts, join, link, number, table, tag
from bench.page.flags import flags_of_row
from bench.rows import Row
from bench.select import CLEAN, last_line
from bench.tables import text_of

OPTIONAL = "the row is from before this was kept"


def cell_section(evidence: Evidence, method: str, defense: str) -> Html:
    """Numbers, facts, reasons and the command of one method under one defense."""
    rows = evidence.groups.get((method, defense), [])
    shown = evidence.accuracy.cells[method, defense]
    number = text_of(shown, "accuracy") + (" %" if shown.mean is not None else "")
    title = tag("summary", f"{method} x {defense}: ", tag("b", number if rows else "missing"))
    target = anchor("curve", evidence.setting, method, defense)
    ways = [link(anchor("accuracy", evidence.setting), "heat map")]
    if evidence.curve(method, defense):
        ways.append(link(target, "learning curve"))
    clean = evidence.groups.get((CLEAN, defense), [])
    body = [
        tag("p", *_between(ways), class_="ways"),
        _numbers(rows) if rows else tag("p", "No row: it was not run."),
        *(_row(row, clean) for row in rows),
    ]
    inner = tag("div", *body, id=anchor("cell", evidence.setting, method, defense), class_="cell")
    return tag("details", title, inner)


def _between(parts: Sequence[Html]) -> list[str]:
    return [piece for part in parts for piece in (part, " ")]


def _numbers(rows: Sequence[Row]) -> Html:
    head = [
        "crafting, victim",
        "test %",
        "train %",
        "at best validation %",
        "peak (oracle) %",
        "MI nats",
        "interval",
        "null",
    ]
    body = [
        [
            Value(f"{row.poison_rep}, {row.rep}" + ("" if row.status == "ok" else f" {row.status}")),
            *(
                number(value, scale=100)
                for value in (row.test_acc, row.train_acc, row.val_selected_acc, row.peak_acc)
            ),
            number(row.mi, "{:z.4f}"),
            interval_of(row),
            number(row.mi_null, "{:z.4f}"),
        ]
        for row in rows
    ]
    return table("Each repetition", head, body)


def interval_of(row: Row) -> Value:
    """Of MI over images, sorted by its width; none in a row from before it was kept."""
    if row.mi_low is None or row.mi_high is None:
        return Value("-")
    return Value(f"{row.mi_low:z.4f} to {row.mi_high:z.4f}", row.mi_high - row.mi_low)


def _row(row: Row, clean: Sequence[Row]) -> Html:
    parts = [tag("p", text, class_="flag") for text in flags_of_row(row, clean)]
    parts += _why(row)
    parts.append(facts(_facts(row)))
    if row.rerun:
        parts.append(tag("p", "To compute it again:"))
        parts.append(tag("pre", row.rerun, class_="command", tabindex="0"))
    else:
        parts.append(tag("p", f"No command to compute it again: {OPTIONAL}."))
    parts += [
        _folded("Method", row.inputs.get("method")),
        _folded("What crafting reported", row.craft),
        _folded("Defense", row.inputs.get("defense")),
        _folded("Learning curve", row.curve),
        _folded("Environment", row.environment),
        _folded("Environment of the crafting", row.craft_environment),
    ]
    return tag("article", tag("h4", f"crafting {row.poison_rep}, victim {row.rep}"), *parts)


def _why(row: Row) -> list[Html]:
    """Why there is no number."""
    said = []
    if row.status != "ok":
        said.append(tag("p", tag("b", row.status), f": {last_line(row.reason)}", class_="flag"))
        if row.reason and "\n" in row.reason.strip():
            said.append(tag("details", tag("summary", "Whole traceback"), tag("pre", row.reason)))
    if row.mi_reason:
        said.append(tag("p", f"No MI: {row.mi_reason}", class_="flag"))
    return said


def _facts(row: Row) -> list[tuple[str, str | None]]:
    def said(form: str, value: float | None, scale: float = 1.0) -> str | None:
        return None if value is None else form.format(scale * value)

    estimator = [row.mi_estimator, said("{:.0f} images", row.mi_images), said("{:.0f} slices", row.mi_slices)]
    return [
        ("L-inf", said("{:.2f}/255", row.linf, 255)),
        ("L2, mean", said("{:.3f}", row.l2)),
        ("L0, share of pixels", said("{:.3f}", row.l0)),
        ("PSNR", said("{:.1f} dB", row.psnr)),
        ("SSIM", said("{:.3f}", row.ssim)),
        ("published", row.published and f"sha256 {row.published[:16]}"),
        ("MI", ", ".join(part for part in estimator if part) or None),
        ("crafting", said("{:.1f} s", row.craft_seconds)),
        ("crafting, memory", said("{:.0f} MB", row.craft_peak_mb)),
        ("victim", said("{:.1f} s", row.train_seconds)),
        ("victim, memory", said("{:.0f} MB", row.train_peak_mb)),
        ("seeds", ", ".join(f"{name} {seed}" for name, seed in row.seeds.items()) or None),
        ("commit", str(row.environment.get("commit", "unknown"))),
        ("finished", row.finished or None),
        ("attempt", str(row.attempt)),
        ("row", f"{row.key[:16]}.json"),
    ]


def _folded(title: str, values: Mapping[str, Any] | Sequence[Any] | None) -> Html:
    """Nested values as JSON, closed; nothing where there are none."""
    if not values:
        return Html()
    text = json.dumps(values, indent=1, ensure_ascii=False, sort_keys=isinstance(values, Mapping))
    return tag("details", tag("summary", title), tag("pre", text))


def cell_sections(evidence: Evidence) -> Html:
    return join(cell_section(evidence, m, d) for m in evidence.methods for d in evidence.defenses)
