"""The tables of a setting as markup: heat map, MI, correlation, cost, provenance."""

from __future__ import annotations

import json

from bench.captions import crafted_on, devices, look_up
from bench.evidence import Evidence, anchor
from bench.page.elements import Html, Value, facts, link, number, table, tag
from bench.plots.heat_map import shade
from bench.rows import SCHEMA
from bench.select import OWN
from bench.tables import Table, text_of

CORRELATED = (
    "MI against accuracy over methods, controls apart; a variant beside its base (em-class beside em) is no "
    "method of its own"
)


def heat_map(evidence: Evidence) -> Html:
    """Accuracy, coloured; each number leads to its cell."""
    return _grid(evidence, evidence.accuracy, colored=True)


def mi_table(evidence: Evidence) -> Html:
    return _grid(evidence, evidence.mi, colored=False)


def _grid(evidence: Evidence, shown: Table, *, colored: bool) -> Html:
    def value(method: str, defense: str) -> Value:
        cell = shown.cells[method, defense]
        text = text_of(cell, shown.measure)
        content = link(
            anchor("cell", evidence.setting, method, defense), cell.status if text == "-" else text
        )
        if cell.mean is None or not colored:
            return Value(content, cell.mean)
        back, ink = shade(cell.mean)
        return Value(content, cell.mean, f"background:{back};color:{ink}")

    body = [[Value(m, m), *(value(m, d) for d in shown.defenses)] for m in shown.methods]
    return table(shown.caption, ["method", *shown.defenses], body, "heat" if colored else "values")


def correlations(evidence: Evidence) -> Html:
    body = []
    for defense in evidence.defenses:
        found = evidence.correlation(defense)
        word = "too few methods, or no spread" if found.rho is None else ""
        said = "descriptive" if found.descriptive and found.rho is not None else word
        numbers = [number(value, "{:z.2f}") for value in (found.rho, found.low, found.high)]
        body.append([Value(defense, defense), Value(str(found.n), found.n), *numbers, Value(said, said)])
    head = ["defense", "methods (n)", "Spearman's ρ", "95 % from", "to", "note"]
    return table(CORRELATED, head, body)


def costs(evidence: Evidence) -> Html:
    body = []
    for cost in evidence.costs():
        body.append(
            [
                Value(cost.method, cost.method),
                number(cost.seconds, "{:.1f}"),
                number(cost.peak_mb, "{:.0f}"),
                number(cost.undefended, scale=100),
                number(cost.worst, scale=100),
                Value(cost.chosen or "-", cost.chosen),
            ]
        )
    head = ["method", "crafting, s", "peak, MB", "under none, %", "highest, %", "under"]
    on = crafted_on(evidence.rows)
    return table(f"Crafting cost on {on}, and the accuracy that a defender reaches", head, body)


def every_row(evidence: Evidence) -> Html:
    head = ["method", "defense", "crafting", "victim", "status", "test %", "train %", "MI", "L-inf/255"]
    head += ["crafting, s", "training, s", "commit"]
    body = []
    for row in evidence.rows:
        target = anchor("cell", evidence.setting, row.method, row.defense)
        commit = str(row.environment.get("commit", "unknown"))
        body.append(
            [
                Value(link(target, row.method), row.method),
                Value(row.defense, row.defense),
                Value(str(row.poison_rep), row.poison_rep),
                Value(str(row.rep), row.rep),
                Value(row.status, row.status),
                number(row.test_acc, scale=100),
                number(row.train_acc, scale=100),
                number(row.mi, "{:z.4f}"),
                number(row.linf, "{:.1f}", 255),
                number(row.craft_seconds),
                number(row.train_seconds),
                Value(commit, commit),
            ]
        )
    trained = devices(row.environment for row in evidence.rows if row.train_seconds is not None)
    return table(f"Every row; crafted on {crafted_on(evidence.rows)}, trained on {trained}", head, body)


def provenance(evidence: Evidence) -> Html:
    """Where the numbers come from."""
    row, rows = evidence.rows[0], evidence.rows

    def several(*names: str) -> str:
        seen = {" ".join(str(r.environment[name]) for name in names if name in r.environment) for r in rows}
        return "; ".join(sorted(filter(None, seen))) or "unknown"

    ended = sorted(r.finished for r in rows if r.finished)
    shared = {name: value for name, value in row.inputs.items() if name not in OWN}
    text = json.dumps(shared, indent=1, ensure_ascii=False, sort_keys=True)
    listed = facts(
        [
            ("data", f"{row.data}, synthetic" if row.synthetic else row.data),
            ("data digest", look_up(row.inputs, "data", "digest")),
            ("setting", row.setting),
            ("rows", f"{len(rows)}, schema {SCHEMA}"),
            ("commits", several("commit")),
            ("device", several("device")),
            ("processors", several("processor")),
            ("instructions", several("capability", "instructions")),
            ("threads", several("threads")),
            ("python", several("python")),
            ("torch", several("torch")),
            ("finished", " to ".join(dict.fromkeys((ended[0], ended[-1]))) if ended else None),
            ("controls", ", ".join(sorted(evidence.controls)) or "none"),
        ]
    )
    return tag("div", listed, tag("details", tag("summary", "All inputs of the setting"), tag("pre", text)))
