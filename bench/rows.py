"""Rows: one JSON file for each cell, written by rename; everything else is derived from them."""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from bench.core.files import write_atomically

SCHEMA = 1  # of a row; raised when a column changes its name or meaning

# Columns that two runs of one cell may differ in: everything else is decided by the key.
INCIDENTAL = (
    "craft_seconds",
    "craft_peak_mb",
    "train_seconds",
    "train_peak_mb",
    "mi_seconds",
    "attempt",
    "finished",
    "rerun",
)


@dataclass(frozen=True)
class Row:
    """What one cell was, and what it gave. Shares in [0,1], nats, seconds, MB; None: not measured."""

    # what it was
    key: str  # sha256 over inputs
    setting: str  # the same over inputs without method, defense and repetitions: one table each
    data: str
    synthetic: bool
    method: str
    defense: str
    poison_rep: int  # crafting seed
    rep: int  # victim seed
    profile: str
    inputs: dict[str, Any]  # all that can move a number, resolved: see keys.py
    classes: int | None = None  # of the data set; None: a row from before the column
    # how it ended
    status: str = "ok"  # ok, failed or skipped
    reason: str | None = None
    control: bool | None = None  # whether the method is no contestant: clean, random
    # what was measured of the victim
    test_acc: float | None = None  # whole test set, after the last epoch
    train_acc: float | None = None  # on the images that the victim was shown
    val_selected_acc: float | None = None  # test subset, at the curve's best validation accuracy
    peak_acc: float | None = None  # test subset, the curve's best: an oracle, nobody can choose it
    stem: str | None = None  # of the victim, which depends on the image size
    curve: list[dict[str, float]] = field(default_factory=list)  # epoch, val_acc, test_acc
    mi: float | None = None  # nats, the null subtracted
    mi_null: float | None = None
    mi_low: float | None = None  # interval of mi over images, see bench/mi/sliced.py; None: from before it
    mi_high: float | None = None
    mi_estimator: str | None = None
    mi_images: int | None = None
    mi_rank: int | None = None
    mi_slices: int | None = None
    mi_reason: str | None = None  # why there is none
    # what was measured of the poison as crafted, whatever share of it was published, against the clean images
    linf: float | None = None  # pixels in [0,1]
    l2: float | None = None  # mean over images
    l0: float | None = None  # mean share of pixels changed in any channel
    psnr: float | None = None  # dB, from the mean squared error of all; None where nothing changed
    ssim: float | None = None  # mean over images
    published: str | None = None  # sha256 of all poisoned images
    mask: str | None = None  # sha256 over which images were published poisoned, see OUT/masks; None: all
    craft: dict[str, float | int | str | None] = field(default_factory=dict)  # what the method reports
    # what it took, and under what
    craft_seconds: float | None = None
    craft_peak_mb: float | None = None
    train_seconds: float | None = None
    train_peak_mb: float | None = None
    mi_seconds: float | None = None
    seeds: dict[str, int] = field(default_factory=dict)
    code: dict[str, str] = field(default_factory=dict)  # digests of the code of method and defense
    environment: dict[str, str | int] = field(default_factory=dict)  # device, threads, versions, commit
    craft_environment: dict[str, str | int] = field(default_factory=dict)  # the same of the crafting
    attempt: int = 1
    finished: str = ""  # UTC
    rerun: str | None = None  # the command that computes it again; DIR stands for folders
    schema: int = SCHEMA

    @property
    def is_control(self) -> bool:
        """Whether the method is no contestant; rows from before the column: where it changed nothing."""
        unchanged = self.linf == 0 or self.inputs.get("method", {}).get("eps") == 0
        return unchanged if self.control is None else self.control


def path_of(key: str, folder: Path) -> Path:
    return folder / f"{key[:16]}.json"


def save(row: Row, folder: Path) -> Path:
    path = path_of(row.key, folder)
    write_atomically(path, json.dumps(asdict(row), indent=1, allow_nan=False) + "\n")
    return path


def migrate(values: Any, where: str) -> Row:
    """A row of this schema from a stored one.

    Raises ValueError where a newer suite wrote it, or where it is no row.
    """
    schema = values.get("schema") if isinstance(values, dict) else None
    if type(schema) is not int or not 1 <= schema <= SCHEMA:
        raise ValueError(f"{where} has row schema {schema!r}, this suite reads 1 to {SCHEMA}")
    names = {f.name for f in fields(Row)}
    needed = {f.name for f in fields(Row) if f.default is MISSING and f.default_factory is MISSING}
    if unknown := set(values) - names:
        raise ValueError(f"{where} has unknown columns {', '.join(sorted(unknown))}")
    if absent := needed - set(values):
        raise ValueError(f"{where} lacks columns {', '.join(sorted(absent))}")
    return Row(**values)


def load(path: Path) -> Row:
    try:
        values = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except ValueError as error:
        raise ValueError(f"{path.name} is not a row: {error}") from error
    return migrate(values, path.name)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number that was measured")


def load_all(folder: Path) -> list[Row]:
    """All rows of a run, in the order of their keys; an absent folder has none."""
    return [load(path) for path in sorted(folder.glob("*.json"))]
