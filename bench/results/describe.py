"""Rows -> what a caption says of them: their circumstances, repetitions and estimator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.results.aggregate import Cell, mean_of, values_of
from bench.results.rows import Row
from bench.results.select import DRAFT, differing, grouped, parted, reason_of


def circumstances(rows: Sequence[Row]) -> str:
    """Say what the rows of a setting share, in a line."""
    row, inputs = rows[0], rows[0].inputs
    said = [
        f"{row.data} (synthetic)" if row.synthetic else row.data,
        f"profile {' and '.join(sorted({row.profile for row in rows}))}",
        f"{inputs['data']['train_images']} training images",
        f"long-tailed {r:g} to 1" if (r := inputs["data"].get("imbalance", 1)) != 1 else None,
        f"{100 * inputs['share']:g} % of them poisoned" if inputs["share"] != 1 else None,
        "poisoned images left out of training" if inputs["drop_poisoned"] else None,
        f"victim {_net(inputs, 'net')}",
        f"surrogate {_net(inputs, 'surrogate')}",
        f"{inputs['victim']['epochs']} epochs",
        f"precision {inputs['precision']}",
        budgets(rows),
        "test images prepared by the defense" if inputs["prepare_test"] else None,
        f"seed {inputs['seed']}",
    ]
    return ", ".join(filter(None, said))


def _net(inputs: Mapping[str, Any], part: str) -> str:
    return f"{inputs[part]}{DRAFT if part in inputs.get('drafts', {}) else ''}"


def budgets(rows: Iterable[Row]) -> str | None:
    """Name the methods' threat models: L-inf 4/255, L-inf 8/255, L2 1; None where all are clean."""
    found = {threat.order: str(threat) for row in rows if (threat := row.threat).radius}
    return ", ".join(said for _, said in sorted(found.items())) or None


def span(numbers: Iterable[float]) -> str:
    """Give the least and the greatest: 3, or 1 to 3."""
    ordered = sorted(numbers)
    return " to ".join(str(number) for number in dict.fromkeys((ordered[0], ordered[-1])))


def repetitions(rows: Iterable[Row]) -> str:
    """How many repetitions a cell has, and which seeds they differ in; empty where all ran once."""
    groups = list(grouped(rows).values())
    varied = {
        "crafting": any(len({row.poison_rep for row in group}) > 1 for group in groups),
        "victim": any(len({row.rep for row in group}) > 1 for group in groups),
    }
    sources = " x ".join(name for name, varies in varied.items() if varies)
    return f"over {span(len(group) for group in groups)} {sources} seeds" if sources else ""


def no_order(poisons: Iterable[tuple[str, int]]) -> str:
    """Say which methods have no order, of how many poisons each has in a cell; empty where all have two."""
    found = parted(poisons, lambda pair: pair[0])
    few = [method for method, pairs in found.items() if min(pairs)[1] < 2]
    if len(few) == len(found):
        return "one poison a method: no order" if few else ""
    return f"one poison of {', '.join(few)}: no order of {'it' if len(few) == 1 else 'them'}" if few else ""


def mixture(rows: Iterable[Row]) -> str:
    """Which entries of the environment differ between rows that count; empty where none does."""
    ours = [row for row in rows if row.status == "ok"]
    crafting = {row.key: row.craft_environment for row in ours if row.craft_environment}
    mixed = differing({row.key: row.environment for row in ours})
    mixed |= {f"crafting {name}": values for name, values in differing(crafting).items()}
    said = ", ".join(f"{name} ({', '.join(values)})" for name, values in mixed.items())
    return f"mixed: {said}" if mixed else ""


def attacked(rows: Iterable[Row]) -> str:
    """Say what robust accuracy is; empty where none was measured."""
    ours = [row for row in rows if row.status == "ok" and row.robust_acc is not None]
    if not ours:
        return ""
    radii = sorted({f"{255 * (row.robust_radius or 0):.4g}/255" for row in ours})
    images = span(row.robust_images or 0 for row in ours)
    within = f"PGD-20 within L-inf {' or '.join(radii)}, on {images} test images"
    return f"In brackets, of victims that train adversarially, robust accuracy: {within}"


def reported(rows: Sequence[Row]) -> list[str]:
    """Say, once each, which objectives crafting did not reach, and what plugins left changed for others."""
    said = {(row.method, what): None for row in rows if (what := row.craft.get("unreached"))}
    facts = [(row.method, row.craft) for row in rows] + [(row.defense, row.defense_facts) for row in rows]
    left = {(name, what): None for name, known in facts if (what := known.get("left_changed"))}
    return [
        *(f"{method}: crafting did not reach its objective: {what}" for method, what in said),
        *(f"{name} left {what} changed, which was restored" for name, what in left),
    ]


def devices(environments: Iterable[Mapping[str, Any]]) -> str:
    """Name what seconds were taken on: cuda NVIDIA H100 80GB HBM3; of a CPU its processor, if known."""
    said = set()
    for environment in environments:
        device, processor = str(environment.get("device", "")), environment.get("processor")
        said.add(f"{device} ({processor})" if processor and device.startswith("cpu") else device)
    return " and ".join(sorted(said - {""})) or "a device that was not recorded"


def crafted_on(rows: Iterable[Row]) -> str:
    """Devices of the craftings that were timed."""
    return devices(row.craft_environment or {} for row in rows if row.craft_seconds is not None)


def estimate(rows: Sequence[Row], cells: Iterable[Cell]) -> str:
    """Name the MI estimator with all that its numbers depend on."""
    if not rows:
        return "not measured"
    said = sorted({row.mi_estimator for row in rows if row.mi_estimator})
    for column, word in (("mi_images", "images"), ("mi_slices", "slices"), ("mi_rank", "dimensions")):
        numbers = values_of(rows, column)
        said += [f"{span(numbers)} {word}"] if numbers else []
    null = mean_of([cell.null for cell in cells if cell.null is not None])
    ceilings = values_of(rows, "mi_ceiling")
    said += [] if null is None else [f"mean null {null:z.3f}"]
    said += [f"ceilings {min(ceilings):.3f} to {max(ceilings):.3f}"] if ceilings else []
    return ". ".join([", ".join(said), *no_gap(rows)])


def no_gap(rows: Sequence[Row]) -> list[str]:
    """Say for each reason why rows have no gap of MI."""
    whys = dict.fromkeys(reason_of(row, "mi_gap") for row in rows if row.mi_gap is None)
    return [f"No gap: {why}" for why in whys if why]


def sentences(*parts: str) -> str:
    return " ".join(f"{part}." for part in parts if part)
