"""Stored results of older schemas as today's: plain values in, plain values out, for files of any age.

Schema 7 of rows has MI's gap to its ceiling, schema 6 accuracy by class and under attack, schema 5 what
defenses report, schema 4 what is measured of perturbations, schema 3 balanced accuracy and chance. Schema 1
told plugins apart by digests of their code. Which revision of a plugin each of these is was decided by
running the old code beside the new: the same deltas, bit for bit, are one revision. A digest that is not
listed was never compared, so that its plugin stays a draft.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from math import inf
from typing import Any

from bench.results.identity import key_of, shared

ROWS = 8  # schema of rows; raised when there is another column, or one changes its name or meaning
SCHEMA = 2  # the same of records and baselines
METHODS = {  # digest of a module -> name in it -> revision
    "70c89fd9678de8d6": {"clean": 1},
    "4d73303b50f751f2": {"random": 1},
    "2af02123d9c7bb83": {"em": 1},
    "5601d11d86f2889f": {"em": 1, "em-class": 1, "em-positive": 1},
    "e1cfbd8396a98862": {"emax": 1},
    "97e1e813d0e9157b": {"emax": 1},
    "2bc58b9e987f3405": {"tap": 1},
    "c1222858377c27e3": {"tap": 1},
    "5210849ac1913520": {"mi-ue": 1},
    "cdf0c43195273191": {"mi-ue": 2, "mi-ue-cos": 2, "mi-ue-trunc": 2},
    "6ef97ede0f6e19fb": {"file:*": 1},
}
DEFENSES = {
    "653dbe118340f561": {"none": 1},
    "b7fe3b009db349a0": {"at-*": 1},
    "c0561213f76c2c5b": {"at-*": 1},
    "caf4c8a17564c958": {"cutout": 1},
    "ce4f7b3fc81adec1": {"cutout": 1},
    "e7b5f995308e0350": {"iss-*": 1},
    "9afe7c668bbd042a": {"uer*": 1},
}
MEASURES = {  # digest of the code that a measure reached -> its revision
    "75fc9e644074cedf": 1,
    "c24d8d6688928c95": 1,
    "b0357c2f68875087": 1,
    "8758cdda6c0e2a31": 1,
    "8dd106d57fa47990": 1,
}
CERTIFICATES = {"c40a71ec9c75": 1}  # digest of estimators, cases and libraries -> revision of the first two
MOST_NATS = {"smi-ksg": 1.3}  # estimator -> above it today's gives a bound, where it once gave a number
ROUNDING = {  # how methods published before they had a field that says it
    **dict.fromkeys(("em", "em-class", "mi-ue", "mi-ue-cos"), "nearest"),
    "em-positive": "positive",
    "mi-ue-trunc": "truncate",
}
CONTROLS = ("clean", "random")
CLASSES = {"cifar10": 10, "cifar10-jpeg75": 10, "cifar100": 100, "glyphs": 10, "svhn": 10}
ABSENT: dict[str, Any] = {  # columns that the first rows of schema 1 lack
    **dict.fromkeys(("stem", "mi_low", "mi_high", "mask", "rerun")),
    "craft_environment": {},
}
SINCE: dict[int, dict[str, Any]] = {  # schema -> columns that rows of older ones lack
    4: dict.fromkeys(
        (
            *("low_share", "class_share", "linf_median", "linf_p95", "linf_max"),
            *("l2_median", "l2_p95", "l2_max", "l0_median", "l0_p95", "l0_max"),
            *("psnr_median", "psnr_p05", "psnr_min", "ssim_median", "ssim_p05", "ssim_min"),
        )
    ),
    5: {"defense_facts": {}},
    6: {"class_acc": [], **dict.fromkeys(("robust_acc", "robust_radius", "robust_images"))},
    7: dict.fromkeys(
        (
            *("mi_ceiling", "mi_gap", "mi_gap_low", "mi_gap_high", "mi_share", "mi_labels"),
            *("mi_shown", "mi_shown_gap", "mi_shown_gap_low", "mi_shown_gap_high"),
        )
    ),
    8: dict.fromkeys(
        (
            *("mi_ceiling_low", "mi_ceiling_high"),
            *("mi_shown_low", "mi_shown_high", "mi_shown_ceiling"),
        )
    ),
}
Values = Mapping[str, Any]


def row(old: Values) -> dict[str, Any]:
    """Make a row of today's schema of an older one; KeyError, TypeError or AttributeError for others."""
    made = _identified(old) if old["schema"] == 1 else dict(old)
    since = (columns for schema, columns in SINCE.items() if old["schema"] < schema)
    made |= {name: value for columns in since for name, value in columns.items()}
    if old["schema"] >= 3:
        return {**made, "schema": ROWS}
    chance = {"chance": 1 / max(made["classes"], 1)} if "classes" in made else {}
    return {**made, **chance, "balanced_acc": None, "schema": ROWS}


def _identified(old: Values) -> dict[str, Any]:
    """Make a row of schema 2 of one of schema 1: under its key of names and revisions."""
    before, mi = old["inputs"], _mi_revision(old.get("mi_estimator"), [old.get("mi")])
    plugins = {kind: _plugin(kind, before[kind]) for kind in ("method", "defense")}
    reps = {name: before[name] for name in ("poison_rep", "rep")}
    inputs = {**_setting(shared(before), mi), **plugins, **reps}
    filled = ABSENT | ({"classes": CLASSES[old["data"]]} if old["data"] in CLASSES else {})
    control = old.get("control")  # of before it was a column: whether the method is one, or changes nothing
    changed = {
        "key": key_of(inputs),
        "setting": key_of(shared(inputs)),
        "inputs": inputs,
        "control": old["method"] in CONTROLS or old.get("linf") == 0 if control is None else control,
        "code": {kind: before[kind]["code"] for kind in plugins},
        "legacy_key": str(old["key"]),
    }
    return {**filled, **old, **changed}


def record(old: Values, keys: Mapping[str, str]) -> dict[str, Any]:
    """Make a study's record of today's schema of one of schema 1. keys: of the rows, by their legacy ones."""
    before = old["inputs"]
    pair = {"net": keys[before["net"]], "poison": keys[before["poison"]]}
    inputs = {"measure": before["measure"], **pair, "images": before["images"]}
    inputs["revision"] = MEASURES.get(before["code"], 0)
    named = {"net_row": pair["net"], "poison_row": pair["poison"]}
    return {"schema": SCHEMA, "inputs": inputs, "record": old["record"] | named}


def baseline(old: Values) -> dict[str, Any]:
    """Make a baseline of today's schema of one of schema 1."""
    measured = [cell["measures"].get("mi", {}).get("mean") for cell in old["cells"]]
    made = {"setting": _setting(old["setting"], _mi_revision(old["estimator"], measured))}
    for kind in ("method", "defense"):
        plugins = old[f"{kind}s"].items()
        made[f"{kind}s"] = {name: _plugin(kind, own | {"code": old["code"][name]}) for name, own in plugins}
    return {**old, **made, "schema": SCHEMA}


def certified(old: Values) -> dict[str, Any]:
    """Make a line of the certificate of one that has a digest of all code in the place of revisions."""
    revision = CERTIFICATES.get(old["code"], 0)
    return {**old, "revision": revision, "cases": revision, "libraries": None}


def _setting(old: Values, mi: int) -> dict[str, Any]:
    ones = ("data", "crafting", "training", "surrogate", "net", "evaluation")
    revisions = {**dict.fromkeys(ones, 1), "mi": mi}
    kept = {name: value for name, value in old.items() if name != "protocol"}
    return {"revisions": revisions, **kept, **{"share": 1.0, "drop_poisoned": False}, **kept}


def _mi_revision(estimator: str | None, values: Iterable[float | None]) -> int:
    """1 where a number is outside the certified range, for which today's protocol gives a bound."""
    most = MOST_NATS.get(estimator or "", inf)
    return 1 if any(value is not None and value > most for value in values) else 2


def _plugin(kind: str, old: Values) -> dict[str, Any]:
    name, code = old["name"], old["code"]
    listed = {"method": METHODS, "defense": DEFENSES}[kind].get(code, {})
    revision = next((number for known, number in listed.items() if fnmatchcase(name, known)), None)
    made = {"name": name} | ({"crafted_as": name} if kind == "method" else {})
    version = {"draft": code} if revision is None else {"revision": revision}
    rounding = {"rounding": ROUNDING[name]} if name in ROUNDING else {}
    own = {field: value for field, value in old.items() if field not in ("name", "code")}
    return {**made, **version, **own, **rounding}
