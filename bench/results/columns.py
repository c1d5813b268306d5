"""Kinds of columns, each with its range and unit, and what is made of a model of them: JSON schema, words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec
from msgspec import Meta

from bench.core.stored import shown


def about(text: str) -> Meta:
    """Say what a column means."""
    return Meta(description=text)


# Measured
Fraction = Annotated[float, Meta(ge=0, le=1)]
Similarity = Annotated[float, Meta(ge=-1, le=1)]
Nats = Annotated[
    float, Meta(ge=-1000, le=1000, extra_json_schema={"unit": "nats"})
]  # far beyond any estimate
Decibels = Annotated[float, Meta(ge=0, extra_json_schema={"unit": "dB"})]
Seconds = Annotated[float, Meta(ge=0, extra_json_schema={"unit": "s"})]
Megabytes = Annotated[float, Meta(ge=0, extra_json_schema={"unit": "MB"})]
Distance = Annotated[float, Meta(ge=0)]
# Given: a whole number stays one, or keys would be of something else
Share = Annotated[int, Meta(ge=0, le=1)] | Fraction
Positive = Annotated[int, Meta(ge=0)] | Distance
Index = Annotated[int, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]
Name = Annotated[str, Meta(min_length=1)]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", max_length=64)]
Code = Annotated[str, Meta(pattern="^[0-9a-f]{16}$", max_length=16)]

INTRODUCTION = """# Columns of stored results

A row is one method under one defense with one pair of seeds, `rows/<beginning of its key>.json`; `rows.csv`,
tables and figures are derived from rows. `rows.schema.json` has these columns as JSON schema. Files of an
older schema are upgraded as they are read.
"""
FURTHER = """
## rows.csv

A line for each row, with the columns above: what has parts is JSON, of a traceback there is the last line.
Beside them stand some of these parts; empty where a row has none.

| column | place in a row |
| :-- | :-- |"""
HEAD = "| column | values | unit | meaning |\n| :-- | :-- | :-- | :-- |"
Schema = dict[str, Any]


class Point(TypedDict):
    """One of a learning curve."""

    epoch: Positive
    val_acc: Annotated[Fraction, about("accuracy on the validation images")]
    test_acc: Annotated[Fraction, about("accuracy on a subset of the test images")]


class Images(TypedDict):
    """The training images, and how nets may see them."""

    name: Name
    digest: Annotated[Name, about("sha256 of images, labels and classes")]
    limit: Annotated[Count | None, about("images that were asked for; null: all")]
    imbalance: NotRequired[
        Annotated[Positive, about("of a long tail that was drawn: first class over last; absent: none")]
    ]
    resize: Annotated[Name, about("rule by which images were brought to one size")]
    train_images: Annotated[Count, about("without those for validation")]
    augmentation: Annotated[dict[str, int | bool], about("pad, in pixels, and flip")]


class Recipe(TypedDict):
    """How victims are trained."""

    epochs: Count
    batch: Count
    lr: Positive
    momentum: Positive
    weight_decay: Positive
    nesterov: bool
    schedule: Name
    milestones: Annotated[list[Share], about("shares of the training at which lr drops")]
    final_lr: Positive
    clip: Annotated[Positive | None, about("largest norm of a gradient")]
    optimiser: NotRequired[Annotated[Name, about("sgd where it is absent")]]
    warmup: NotRequired[Annotated[Share, about("share of the training in which lr rises; 0 where absent")]]


class Plugin(TypedDict):
    """Of a method or defense, beside all of its parameters."""

    name: Name
    revision: NotRequired[Annotated[Count, about("as its class declares it")]]
    draft: NotRequired[Annotated[Name, about("digest of its code, where it declares none")]]


class Method(Plugin):
    """Of a method, beside all of its parameters."""

    crafted_as: Annotated[Name, about("the variant whose delta it publishes")]
    eps: Annotated[Share, about("l-inf budget, pixels in [0,1]")]
    l2: NotRequired[Annotated[Positive | None, about("budget in its place, pixels in [0,1]")]]


class Inputs(TypedDict):
    """All that can move a number, resolved: see bench/experiment/keys.py."""

    revisions: Annotated[dict[str, Count], about("of what is no method or defense")]
    drafts: NotRequired[
        Annotated[dict[str, Name], about("digest of the code of a net or surrogate that declares none")]
    ]
    data: Images
    surrogate: Annotated[Name, about("net of the method")]
    precision: Name
    seed: int
    net: Annotated[Name, about("of the victim")]
    eps: Annotated[Share | None, about("budget asked of all methods; null: each one's own")]
    prepare_test: Annotated[bool, about("whether the defense prepares test images, too")]
    points: Annotated[Count, about("of the learning curve")]
    victim: Recipe
    mi: Annotated[dict[str, Positive], about("settings of the estimator")]
    share: Annotated[Share, about("of the training images that are published poisoned")]
    drop_poisoned: Annotated[bool, about("whether victims learn from the other images alone")]
    robust_images: NotRequired[
        Annotated[Index, about("test images attacked; absent: 1000, or a sixth of the training images")]
    ]
    method: dict[str, Any]  # a Method
    defense: dict[str, Any]  # a Plugin
    poison_rep: Index
    rep: Index


REVISIONS = ("data", "crafting", "training", "surrogate", "net", "evaluation", "mi")
FLAT = {  # further columns of rows.csv -> where they lie in a row
    **{name: f"inputs.{name}" for name in ("net", "surrogate", "precision", "seed", "share")},
    "eps": "inputs.method.eps",
    "epochs": "inputs.victim.epochs",
    "device": "environment.device",
    **{f"{name}_revision": f"inputs.{name}.revision" for name in ("method", "defense")},
    **{f"{name}_revision": f"inputs.revisions.{name}" for name in REVISIONS},
}
PLUGINS = {"method": Method, "defense": Plugin}  # inputs whose further names are theirs


def schema_of(model: type) -> Schema:
    """Make the JSON schema of a dataclass that has Inputs: all columns are required, no others allowed."""
    (_, *plugins), parts = msgspec.json.schema_components([model, *PLUGINS.values()])
    for name, kind in zip(PLUGINS, plugins, strict=True):
        parts["Inputs"]["properties"][name] = kind
    columns = parts.pop(model.__name__)["properties"]
    for column in columns.values():
        column.pop("default", None)
    whole = {"type": "object", "properties": columns, "required": [*columns], "additionalProperties": False}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole, "$defs": parts}


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Take out of a row's columns what has a column of its own in rows.csv; None where it is absent."""

    def inside(part: Any, step: str) -> Any:
        return part.get(step) if isinstance(part, Mapping) else None

    return {name: reduce(inside, place.split("."), row) for name, place in FLAT.items()}


def resolved(kind: Schema, schema: Schema) -> Schema:
    """Look up what a reference stands for; what is said beside it goes before."""
    return {**schema["$defs"][kind["$ref"].rpartition("/")[2]], **kind} if "$ref" in kind else kind


def in_words(kind: Schema, schema: Schema) -> str:
    """Say what a value may be: number in [0, 1] or null."""
    kind = resolved(kind, schema)
    if "anyOf" in kind:
        types = {one.get("type") for one in kind["anyOf"]}
        apart = [one for one in kind["anyOf"] if one.get("type") != "integer" or "number" not in types]
        return " or ".join(in_words(one, schema) for one in apart)
    if "enum" in kind:
        return " or ".join(kind["enum"])
    if "properties" in kind:
        return f"{{{', '.join(kind['properties'])}}}"
    if kind.get("type") == "array":
        return f"list of {in_words(kind['items'], schema)}"
    if kind.get("type") == "object":
        return f"names with {in_words(kind['additionalProperties'], schema)}"
    words = {"string": "text", "integer": "whole number", "boolean": "true or false"}
    return words.get(str(kind["type"]), str(kind["type"])) + _range(kind)


def _range(kind: Schema) -> str:
    if "pattern" in kind:
        return f" of {kind['maxLength']} hex digits"
    least, most = kind.get("minimum"), kind.get("maximum")
    if most is not None:
        return f" {most}" if least == most else f" in [{least}, {most}]"
    return "" if least is None else f" of at least {least}"


def page(schema: Schema) -> str:
    """Make the data dictionary, Markdown: the columns, and what is in those that have parts."""
    parts = [INTRODUCTION, _table(schema, schema)]
    for name, kind in schema["$defs"].items():
        parts += [f"\n## {name}\n\n{kind['description']}\n", _table(kind, schema)]
    further = [f"| {name} | {place} |" for name, place in FLAT.items()]
    return "\n".join([*parts, FURTHER, *further]) + "\n"


def _table(kind: Schema, schema: Schema) -> str:
    lines = [HEAD]
    for name, column in kind["properties"].items():
        units = [one["unit"] for one in (column, *column.get("anyOf", ())) if "unit" in one]
        said = in_words(column, schema) + ("" if name in kind["required"] else ", or absent")
        meaning = resolved(column, schema).get("description", "")
        lines.append(f"| {name} | {said} | {' '.join(units)} | {meaning} |")
    return "\n".join(lines)


def complaint(error: msgspec.ValidationError, value: Any, schema: Schema, above: Iterable[str] = ()) -> str:
    """Say where values are not as their schema has it, what is there, and what was expected.

    above: names under which the value that was looked at lies in all values.
    """
    path = re.search(r"`\$([^`]*)`$", str(error))
    below = re.findall(r"\w[\w-]*|\[\d+\]", path[1].split("[...]")[0]) if path else []
    place, kind = "", schema
    for step in (*above, *below):
        kind = resolved(kind, schema)
        if step.startswith("["):
            place, value, kind = place + step, value[int(step[1:-1])], kind["items"]
        else:
            place, value, kind = f"{place}.{step}", value[step], kind["properties"][step]
    if absent := re.search(r"missing required field `([^`]*)`", str(error)):
        kind = resolved(kind, schema)["properties"][absent[1]]
        return f"{place}.{absent[1]} is absent, expected {in_words(kind, schema)}".lstrip(".")
    return f"{place.lstrip('.')} is {shown(value)}, expected {in_words(kind, schema)}"
