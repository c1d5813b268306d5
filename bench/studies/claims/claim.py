"""Claims: what papers and their code print of our methods and defenses, one line of a CSV file each."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import inf
from pathlib import Path
from typing import Any, Literal, get_type_hints

from bench.core.errors import BadInput
from bench.core.stored import read_or_say
from bench.experiment.overrides import parse

# Names that no method or defense of the suite has. ap: Fowl et al.'s as the MI-UE paper ran it, which is
# class-targeted or not; mi-ue-distance: its distance term alone; all: over all methods
FOREIGN = {"methods": ("ap", "mi-ue-distance", "all"), "defenses": ("avatar",)}
USUAL = 8 / 255  # budget
CELL = ("source", "link", "where", "data", "net", "surrogate", "method", "defense", "eps", "metric")


@dataclass(frozen=True)
class Claim:
    """A published number and what it was of. None: not stated, or without meaning there."""

    id: str
    source: str  # authors, venue, year; where our notes have none of them, the repository
    link: str
    where: str  # table or section; several where the same number is printed again
    data: str
    images: int | None  # training images
    net: str | None  # of the victim
    surrogate: str | None  # net of the method
    epochs: int | None  # of the victim, as the six that follow
    batch: int | None
    lr: float | None
    weight_decay: float | None
    schedule: str | None
    milestones: str | None  # shares of the training at which lr drops, with spaces between
    clip: float | None  # largest gradient norm; 0: the recipe clips nothing
    method: str
    defense: str
    eps: float | None  # L-inf, pixels in [0,1]; None: nothing is perturbed
    metric: Literal["test_acc", "mi", "mi_gap", "spearman"]
    published: str  # the number as printed: percent, nats, or 1
    confidence: Literal["primary", "second-hand", "derived"]  # read in the source, in a note on it, computed
    note: str

    @property
    def value(self) -> float:
        return float(self.published)

    @property
    def group(self) -> tuple[str, str, str, str]:
        """Claims whose order can be compared: one source's, of one data set, net and metric."""
        return f"{self.source} ({self.link})", self.data, self.net or "net not stated", self.metric

    @property
    def budget(self) -> str:
        """Where it is not that of nearly all claims: , 4/255."""
        if self.eps is None or abs(self.eps - USUAL) < USUAL / 100:
            return ""
        return f", {255 * self.eps:g}/255"

    @property
    def cell(self) -> str:
        """Its name among those: em x none, and at another budget than nearly all mi-ue x none, 4/255."""
        return f"{self.method} x {self.defense}{self.budget}"


KINDS = get_type_hints(Claim)
RANGES = {  # least and most of what is a number
    **dict.fromkeys(("images", "epochs", "batch"), (1, inf)),
    **dict.fromkeys(("lr", "weight_decay", "clip"), (0, inf)),
    "eps": (0, 1),
}
COLUMNS = [field.name for field in fields(Claim)]


def load(path: Path) -> list[Claim]:
    """Read the claims of a file, in its order; BadInput where a line is none, or is there twice."""
    try:
        text = read_or_say(path, "a CSV file of claims").decode()
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        lines = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path} cannot be read ({error}), expected a CSV file of claims") from error
    if reader.fieldnames != COLUMNS:
        raise BadInput(
            f"{path} has the columns {', '.join(reader.fieldnames or ())}; expected {', '.join(COLUMNS)}"
        )
    found = [claim_of(line, f"{path.name}, claim {number}") for number, line in enumerate(lines, start=1)]
    seen: dict[object, str] = {}
    for claim in found:  # by its id, and as a number of a table
        for key in (claim.id, tuple(getattr(claim, name) for name in CELL)):
            if key in seen:
                twice = f"{claim.id} is there twice ({seen[key]}), expected each claim once"
                raise BadInput(f"{path.name}: {twice}")
            seen[key] = claim.id
    return found


def claim_of(line: Mapping[str | None, str | None], who: str) -> Claim:
    """One line; an empty field is text without a word, and of anything else that it is not stated."""
    if None in line or None in line.values():
        raise BadInput(f"{who} has too few or too many fields, expected {len(COLUMNS)}")
    texts = {name: line[name] or "" for name in COLUMNS}
    values: dict[str, Any] = {
        name: texts[name] if kind is str else parse(texts[name] or "none", kind, f"{who}: {name}")
        for name, kind in KINDS.items()
    }
    for name in ("id", "source", "where", "data", "method", "defense"):
        if not texts[name].strip():
            raise BadInput(f"{who}: {name} is empty, expected a word")
    values["value"] = parse(texts["published"], float, f"{who}: published")
    most = {"spearman": 1.0, "test_acc": 100.0}.get(values["metric"], inf)
    for name, (low, high) in {**RANGES, "value": (-most if most == 1 else 0, most)}.items():
        seen = values[name]
        if seen is not None and not low <= seen <= high:
            expected = f"at least {low:g}" if high == inf else f"{low:g} to {high:g}"
            said = "published" if name == "value" else name
            raise BadInput(f"{who}: {said} is {seen:g}, expected {expected}")
    return Claim(**{name: values[name] for name in COLUMNS})
