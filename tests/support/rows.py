"""Hand-made rows, and stored ones made older than they are."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from bench.core.recipe import Recipe
from bench.experiment.keys import REVISIONS
from bench.results import upgrade
from bench.results.identity import key_of, record_name, shared
from bench.results.rows import Row

NEWER = ("code", "legacy_key", "balanced_acc", "chance")  # columns that schema 1 lacks
SETTING, OTHER = "1" * 64, "2" * 64
INPUTS: dict[str, Any] = {
    "revisions": {"data": 1, "crafting": 1, "training": 1, "evaluation": 1, "mi": 2},
    "data": {
        "name": "toy",
        "digest": "d" * 64,
        "limit": None,
        "resize": "none",
        "train_images": 4000,
        "augmentation": {"pad": 4, "flip": True},
    },
    "surrogate": "small",
    "precision": "fp32",
    "seed": 7,
    "net": "resnet18",
    "eps": None,
    "prepare_test": False,
    "points": 3,
    "victim": json.loads(json.dumps(asdict(Recipe()))),
    "mi": {"images": 1000, "slices": 96},
    "share": 1.0,
    "drop_poisoned": False,
}


def row(method: str, defense: str = "none", rep: int = 0, poison_rep: int = 0, **values: Any) -> Row:
    """A hand-made row of glyphs; values are any other columns."""
    plain: dict[str, Any] = {"setting": SETTING, "data": "glyphs", "synthetic": True, "inputs": {}} | values
    plain = {"classes": 10, "control": method in ("clean", "random")} | plain
    said = repr((plain["setting"], method, defense, rep, poison_rep, plain["inputs"]))
    key = hashlib.sha256(said.encode()).hexdigest()
    cell = {"method": method, "defense": defense, "poison_rep": poison_rep, "rep": rep}
    return completed(Row(key=key, profile="quick", **cell, **plain))


def completed(row: Row) -> Row:
    """The row with all the inputs that a stored one has; its own stay."""
    plugins = {
        "method": {"name": row.method, "crafted_as": row.method, "revision": 1, "eps": 0.0},
        "defense": {"name": row.defense, "revision": 1},
    }
    whole = INPUTS | plugins | {"poison_rep": row.poison_rep, "rep": row.rep}
    own = {name: row.inputs.get(name, value) for name, value in whole.items()}
    filled = {name: {**value, **own[name]} for name, value in whole.items() if isinstance(value, dict)}
    return replace(row, inputs={**row.inputs, **own, **filled})


def keyed(row: Row) -> Row:
    """The row under the keys of its inputs, as a stored one is; what tells its setting apart is the seed."""
    own = completed(row)
    inputs = json.loads(json.dumps(own.inputs))
    if key_of(shared(inputs)) != own.setting:
        inputs["seed"] = int(own.setting[:12], 16)
    return replace(own, inputs=inputs, key=key_of(inputs), setting=key_of(shared(inputs)))


def aged(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make rows and records of a run's folder ones of schema 1; digests of today's code count as reviewed."""
    # as if schema 1 had been of today's estimator: no row of it was
    monkeypatch.setattr(upgrade, "_mi_revision", lambda *_: REVISIONS["mi"])
    keys = {}
    for path in (out / "rows").iterdir():
        row = json.loads(path.read_text(encoding="utf-8"))
        unsaid = {"revisions": row["inputs"]["revisions"], "share": 1.0, "drop_poisoned": False}
        inputs = {name: value for name, value in row["inputs"].items() if value != unsaid.get(name, "")}
        inputs["protocol"] = 1
        for kind, listed in (("method", upgrade.METHODS), ("defense", upgrade.DEFENSES)):
            own, code = inputs[kind], row["code"][kind]
            monkeypatch.setitem(listed, code, {own["name"]: own.pop("revision")})
            inputs[kind] = {name: value for name, value in own.items() if name != "crafted_as"} | {
                "code": code
            }
        keys[row["key"]] = key_of(inputs)
        old = {name: value for name, value in row.items() if name not in NEWER}
        old |= {"key": keys[row["key"]], "inputs": inputs, "schema": 1}
        path.unlink()
        (out / "rows" / f"{old['key'][:16]}.json").write_text(json.dumps(old), encoding="utf-8")
    for path in (out / "records").glob("*"):
        record, code = json.loads(path.read_text(encoding="utf-8")), "c" * 16
        inputs = {name: keys.get(value, value) for name, value in record["inputs"].items()}
        monkeypatch.setitem(upgrade.MEASURES, code, inputs.pop("revision"))
        named = {name: keys[record["record"][name]] for name in ("net_row", "poison_row")}
        old = {"inputs": inputs | {"code": code, "function": "a:b"}, "record": record["record"] | named}
        path.unlink()
        (out / "records" / record_name(inputs)).write_text(json.dumps(old), encoding="utf-8")
