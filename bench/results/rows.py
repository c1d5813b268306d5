"""Rows: one JSON file for each cell, written by rename; everything else is derived from them."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, cast

import msgspec
from msgspec import Meta

from bench.core.errors import BadInput
from bench.core.files import write_atomically
from bench.core.stored import plain, read, shown, uncollected
from bench.core.threat import NORMS, Norm, Threat
from bench.results import columns as model
from bench.results import upgrade
from bench.results.columns import (
    Code,
    Count,
    Decibels,
    Digest,
    Distance,
    Fraction,
    Index,
    Megabytes,
    Name,
    Nats,
    Seconds,
    Similarity,
    about,
)
from bench.results.identity import contradictions

if TYPE_CHECKING:  # dicts, to those who read them
    Inputs: TypeAlias = dict[str, Any]
    Point: TypeAlias = dict[str, float]
else:
    from bench.results.columns import Inputs, Point

SCHEMA = upgrade.ROWS


@dataclass(frozen=True)
class Row:
    """What one cell was, and what it gave; None: not measured. Checked when it is read and written."""

    # what it was
    key: Annotated[Digest, about("sha256 of inputs")]
    setting: Annotated[Digest, about("sha256 of inputs but method, defense, repetitions: a table")]
    data: Annotated[Name, about("data set")]
    synthetic: Annotated[bool, about("whether its images are drawn by the suite")]
    method: Annotated[Name, about("what poisoned the images")]
    defense: Annotated[Name, about("what the victim did against it")]
    poison_rep: Annotated[Index, about("crafting seed")]
    rep: Annotated[Index, about("victim seed")]
    profile: Annotated[Name, about("preset that the run was asked for with")]
    inputs: Annotated[Inputs, about("all that can move a number, resolved")]
    classes: Annotated[Count, about("of the data set")]
    control: Annotated[bool, about("whether the method is no contestant: clean, random")]
    # how it ended
    status: Annotated[Literal["ok", "failed", "skipped"], about("how it ended")] = "ok"
    reason: Annotated[str | None, about("why it is not ok: a traceback, or a sentence")] = None
    # what was measured of the victim
    test_acc: Annotated[Fraction | None, about("accuracy on the whole test set, after the last epoch")] = None
    balanced_acc: Annotated[Fraction | None, about("the same of each class, mean over classes")] = None
    class_acc: Annotated[
        list[Fraction | None], about("the same of each class, in their order; null: it has no image")
    ] = field(default_factory=list)
    chance: Annotated[Fraction | None, about("share of the largest class in the test set")] = None
    robust_acc: Annotated[
        Fraction | None, about("under PGD-20 with steps of 2/255, of victims that train adversarially")
    ] = None
    robust_radius: Annotated[Fraction | None, about("L-inf radius of that attack, pixels in [0,1]")] = None
    robust_images: Annotated[Count | None, about("test images that it was measured on")] = None
    train_acc: Annotated[Fraction | None, about("accuracy on the images that the victim was shown")] = None
    val_selected_acc: Annotated[Fraction | None, about("on the test subset, at the best validation")] = None
    peak_acc: Annotated[Fraction | None, about("on the test subset, the curve's best: an oracle")] = None
    stem: Annotated[str | None, about("of the victim, which depends on the size of the images")] = None
    curve: Annotated[list[Point], about("accuracies during the training")] = field(default_factory=list)
    mi: Annotated[Nats | None, about("what published features tell of clean ones, less its null")] = None
    mi_null: Annotated[Nats | None, about("the estimate for permuted images")] = None
    mi_low: Annotated[Nats | None, about("95 % interval of mi over images and directions, from")] = None
    mi_high: Annotated[Nats | None, about("to")] = None
    mi_ceiling: Annotated[Nats | None, about("mi of the clean features with themselves")] = None
    mi_ceiling_low: Annotated[Nats | None, about("its 95 % interval over images and directions, from")] = None
    mi_ceiling_high: Annotated[Nats | None, about("to")] = None
    mi_gap: Annotated[Nats | None, about("mi_ceiling - mi")] = None
    mi_gap_low: Annotated[Nats | None, about("its 95 % interval over images and directions, from")] = None
    mi_gap_high: Annotated[Nats | None, about("to")] = None
    mi_share: Annotated[float | None, about("mi_gap as a share of mi_ceiling")] = None
    mi_shown: Annotated[Nats | None, about("mi of both as the defense prepares them")] = None
    mi_shown_low: Annotated[Nats | None, about("its 95 % interval, from")] = None
    mi_shown_high: Annotated[Nats | None, about("to")] = None
    mi_shown_ceiling: Annotated[Nats | None, about("mi of the clean ones so prepared with themselves")] = None
    mi_shown_gap: Annotated[Nats | None, about("the gap of that")] = None
    mi_shown_gap_low: Annotated[Nats | None, about("its 95 % interval, from")] = None
    mi_shown_gap_high: Annotated[Nats | None, about("to")] = None
    mi_labels: Annotated[Nats | None, about("MI of the classes predicted of either, at most log K")] = None
    mi_estimator: Annotated[Name | None, about("name of the estimator")] = None
    mi_images: Annotated[Count | None, about("images that it saw")] = None
    mi_rank: Annotated[Count | None, about("dimensions of the features' code, if any")] = None
    mi_slices: Annotated[Count | None, about("random directions")] = None
    mi_reason: Annotated[str | None, about("why there is no mi, or no mi_shown")] = None
    # what was measured of the poison as crafted, whatever share of it was published, against the clean images
    linf: Annotated[Fraction | None, about("largest change of a value, pixels in [0,1]")] = None
    l2: Annotated[Distance | None, about("mean over images, pixels in [0,1]")] = None
    l0: Annotated[Fraction | None, about("mean share of pixels that changed in some channel")] = None
    psnr: Annotated[Decibels | None, about("from the mean squared error; null where nothing changed")] = None
    ssim: Annotated[Similarity | None, about("structural similarity, mean over images")] = None
    low_share: Annotated[Fraction | None, about("of the delta's energy, what averages over 4x4 keep")] = None
    class_share: Annotated[Fraction | None, about("of it, what the mean perturbation of a class has")] = None
    linf_median: Annotated[Fraction | None, about("largest change of a value of an image: its median")] = None
    linf_p95: Annotated[Fraction | None, about("its 95th percentile over images")] = None
    linf_max: Annotated[Fraction | None, about("its maximum: linf")] = None
    l2_median: Annotated[Distance | None, about("L2 norm of a change, pixels in [0,1]: median")] = None
    l2_p95: Annotated[Distance | None, about("95th percentile")] = None
    l2_max: Annotated[Distance | None, about("maximum")] = None
    l0_median: Annotated[Fraction | None, about("share of an image's pixels that changed: median")] = None
    l0_p95: Annotated[Fraction | None, about("95th percentile")] = None
    l0_max: Annotated[Fraction | None, about("maximum")] = None
    psnr_median: Annotated[
        Decibels | None, about("of one image: median; null where such an image did not change")
    ] = None
    psnr_p05: Annotated[Decibels | None, about("fifth percentile: the more changed images")] = None
    psnr_min: Annotated[Decibels | None, about("minimum")] = None
    ssim_median: Annotated[Similarity | None, about("of one image: median")] = None
    ssim_p05: Annotated[Similarity | None, about("fifth percentile")] = None
    ssim_min: Annotated[Similarity | None, about("minimum")] = None
    published: Annotated[Digest | None, about("sha256 of all poisoned images")] = None
    mask: Annotated[Digest | None, about("sha256 over which images were poisoned; null: all")] = None
    craft: Annotated[dict[str, float | int | bool | str | None], about("what the method reports")] = field(
        default_factory=dict
    )
    defense_facts: Annotated[
        dict[str, float | int | bool | str | None], about("what the defense reports")
    ] = field(default_factory=dict)
    # what it took, and under what
    craft_seconds: Annotated[Seconds | None, about("of crafting the poison")] = None
    craft_peak_mb: Annotated[Megabytes | None, about("most memory in use meanwhile")] = None
    train_seconds: Annotated[Seconds | None, about("of training the victim")] = None
    train_peak_mb: Annotated[Megabytes | None, about("most memory in use meanwhile")] = None
    mi_seconds: Annotated[Seconds | None, about("of estimating mi")] = None
    seeds: Annotated[dict[str, int], about("of every random stream")] = field(default_factory=dict)
    code: Annotated[
        dict[str, Code], about("digests of the code of method and defense, which no key takes")
    ] = field(default_factory=dict)
    environment: Annotated[
        dict[str, str | int], about("device, threads, versions and commit of the training")
    ] = field(default_factory=dict)
    craft_environment: Annotated[dict[str, str | int], about("the same of the crafting")] = field(
        default_factory=dict
    )
    attempt: Annotated[Count, about("which it was: failed cells are tried again")] = 1
    finished: Annotated[str, about("when, UTC")] = ""
    rerun: Annotated[str | None, about("the command that computes it again; DIR stands for folders")] = None
    legacy_key: Annotated[Digest | None, about("its key under schema 1, where it had one")] = None
    schema: Annotated[int, Meta(ge=SCHEMA, le=SCHEMA, description="of this list of columns")] = SCHEMA

    @property
    def threat(self) -> Threat:
        """What the method declares of its images; of rows before schema 4, as far as they say."""
        own = self.inputs["method"]
        norm = str(self.craft.get("norm") or ("linf" if own.get("l2") is None else "l2"))
        radius = self.craft.get("radius", own["eps"] if norm == "linf" else own.get("l2"))
        return Threat(cast(Norm, norm), float(radius or 0))

    @property
    def drafts(self) -> list[str]:
        """Which of method and defense have no revision."""
        return [kind for kind in model.PLUGINS if "draft" in self.inputs[kind]]


def path_of(key: str, folder: Path) -> Path:
    return folder / f"{key[:16]}.json"


def save(row: Row, folder: Path) -> Path:
    """Write a row; BadInput, and nothing is written, where a column is not what it should be."""
    text = json.dumps(asdict(row), indent=1, allow_nan=False) + "\n"
    parsed(text.encode(), f"row {row.key}")
    write_atomically(path_of(row.key, folder), text)
    return path_of(row.key, folder)


@cache
def schema() -> model.Schema:
    """Make the JSON schema of a row: results/rows.schema.json."""
    return model.schema_of(Row)


def describe(folder: Path) -> None:
    """Write what follows from the model: columns.md, the data dictionary, and rows.schema.json."""
    write_atomically(folder / "rows.schema.json", json.dumps(schema(), indent=1) + "\n")
    write_atomically(folder / "columns.md", model.page(schema()))


def parsed(text: bytes, where: str) -> Row:
    """Make a row of its JSON, of any schema; BadInput, which names the column, where it is none."""
    values = plain(text, where, "a row")
    if not isinstance(values, dict):
        raise BadInput(f"{where} is not a row: {type(values).__name__}, expected an object")
    stated = values.get("schema")
    if type(stated) is not int or not 1 <= stated <= SCHEMA:
        raise BadInput(f"{where} has row schema {stated!r}, this suite reads 1 to {SCHEMA}")
    try:
        values = upgrade.row(values) if stated < SCHEMA else values
    except (AttributeError, KeyError, TypeError) as error:
        said = f"{type(error).__name__}: {error}"
        raise BadInput(f"{where} is not a row of schema {stated}: {said}") from None
    names, columns = values.keys(), schema()["properties"].keys()
    if unknown := names != columns and names - columns:
        raise BadInput(f"{where} has unknown columns {', '.join(sorted(unknown))}")
    if absent := names != columns and columns - names:
        raise BadInput(f"{where} lacks columns {', '.join(sorted(absent))}")
    row = _row(values, where)
    needed = "test_acc" if row.status == "ok" else "reason"
    if getattr(row, needed) is None:
        raise BadInput(f"{where}: {needed} is None, expected a value, since status is {row.status}")
    if contradiction := next(contradictions(values), None) or _contradiction(row):
        raise BadInput(f"{where}: {contradiction}")
    return row


def _contradiction(row: Row) -> str | None:
    """Say what cannot be of a row: accuracies of other classes, a board of no norm or radius."""
    if row.class_acc and len(row.class_acc) != row.classes:
        return f"class_acc has {len(row.class_acc)} accuracies, expected one a class, {row.classes}"
    norm, radius = row.craft.get("norm", NORMS[0]), row.craft.get("radius", 0)
    if norm not in NORMS:
        return f"craft.norm is {shown(norm)}, expected {' or '.join(NORMS)}"
    if not isinstance(radius, int | float) or isinstance(radius, bool) or radius < 0:
        return f"craft.radius is {shown(radius)}, expected number of at least 0"
    return None


def _row(values: dict[str, Any], where: str) -> Row:
    """Make a row of its columns."""
    above: tuple[str, ...] = ()
    try:
        row = msgspec.convert(values, Row)
        for kind, own in model.PLUGINS.items():
            above = "inputs", kind
            msgspec.convert(row.inputs[kind], own)
    except msgspec.ValidationError as error:
        raise BadInput(f"{where}: {model.complaint(error, values, schema(), above)}") from None
    return row


def load(path: Path) -> Row:
    """Load the row in a file of any schema; BadInput where it is none, or a newer suite's."""
    return parsed(read(path), path.name)


def load_files(folder: Path) -> dict[Path, Row]:
    """Load every file of a run's rows, of several with one key the one that counts last: ok, then the latest.

    Each must be in the file of its key, unless it is from schema 1, which had other keys: else BadInput. An
    absent folder has none; what another run moves away meanwhile, and hidden files, are passed over.
    """
    found, names = {}, (path.name for path in folder.glob("[!.]*.json"))
    with uncollected():
        for name in sorted(names):
            with suppress(FileNotFoundError):
                found[folder / name] = load(folder / name)
    for path, row in found.items():
        own = path_of(row.key, folder)
        if path != own and row.legacy_key is None:
            beside = ", as that does" if own in found else ""
            raise BadInput(f"{path.name} has the row that {own.name} should have{beside}: one file for a key")
    rows = sorted(found.items(), key=lambda one: (one[1].key, one[1].status == "ok", one[1].finished))
    return dict(rows)


def load_all(folder: Path) -> list[Row]:
    """Load the rows of a run, one a key, in the order of their keys."""
    return [*{row.key: row for row in load_files(folder).values()}.values()]


def open_run(out: Path) -> list[Row]:
    """Load the rows that a run's folder has already; BadInput where it holds what this suite cannot read."""
    try:
        return load_all(out / "rows")
    except ValueError as error:
        raise BadInput(f"{out}: {error}") from None


def finished_run(out: Path) -> list[Row]:
    """Load the rows of a folder that must be a run's."""
    if not (out / "rows").is_dir():
        raise BadInput(f"{out} has no rows/, expected the folder of a run")
    return open_run(out)
