"""file:PATH, a method like any other: deltas or images made elsewhere, as they are.

What the file leaves open is inferred and said, or stated as one of the fields below.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from bench.core.errors import BadInput
from bench.core.files import expanded
from bench.core.method import Form, Lab, Method, Need
from bench.core.pixels import GRID, digest, levels
from bench.core.threat import Threat
from bench.core.types import Dataset, Split
from bench.data.poisons import audit, causes, files, manifest, values
from bench.data.poisons.alignment import entries
from bench.data.poisons.arrays import Content
from bench.data.poisons.audit import Change, Table
from bench.data.poisons.manifest import Manifest
from bench.data.poisons.outputs import outputs
from bench.data.poisons.values import Kind, Layout, Rounding, Units

ABOUT = "images or deltas made elsewhere"
BY_NAME = "folder of images by the names of their originals"


@dataclass(frozen=True)
class Foreign(Method):
    """Deltas or images made elsewhere."""

    kind: Kind = "infer"
    units: Units = "infer"
    layout: Layout = "infer"
    rounding: Rounding = "nearest"
    form: Form = "infer"  # type: ignore[misc]  # the other methods' class says it, here it is found out
    l2: float | None = None  # budget of each image, pixels in [0,1]; in the place of eps
    digest: str = ""  # sha256 of the file, or of the folder's images
    published: str = ""  # sha256 of what the run's images become
    # where to find it, which is no part of what it is
    path: Path = field(default=Path(), compare=False)
    array: str = field(default="", compare=False)  # which of several in the file
    entries: tuple[int, ...] = field(default=(), compare=False, repr=False)  # of each training image
    altered: str = field(default="", compare=False)  # what else than perturbed: resized, re-encoded

    revision: ClassVar[int] = 1
    needs: ClassVar[tuple[Need, ...]] = ()

    @property
    def threat(self) -> Threat:
        return Threat("linf", self.eps) if self.l2 is None else Threat("l2", self.l2, rounded=True)

    @property
    def seeded(self) -> bool:
        return False

    @property
    def who(self) -> str:
        return name_of(self.path) + (f"-{plain(self.array)}" if self.array else "")

    @property
    def place(self) -> str:
        return f"{self.path}#{self.array}" if self.array else str(self.path)

    def resolved(self, data: Dataset, say: Callable[[str], None]) -> Foreign:
        table: Table = {}
        found = self.audited(data, table)
        say(f"{self.who}: {'; '.join(f'{what}: {seen}' for what, seen in table.items())}")
        return found

    def audited(self, data: Dataset | None, table: Table) -> Foreign:
        """Fill in everything that the file says and, given data, that it does to the run's images.

        What was looked at goes into the table, up to what raises BadInput.
        """
        if files.is_folder_of_outputs(self.path):
            return self._by_name(data, table)
        found, numbers, made, labels = self._read(table, None if data is None else data.channels)
        if data is None:
            table["budget"] = str(self.threat)
            if found.kind == "delta":
                found._check_change(
                    lambda b: values.steps(numbers[b], found.units, self.rounding), len(numbers), table
                )
            else:
                table["L-inf"] = "unknown without the images before: name them with --data"
            return found
        shape, clean = data.train.images.shape[1:], data.train.images
        if numbers.shape[1:] != shape:
            raise BadInput(
                f"{self.who}: entries are {_shape(numbers)}, expected {_shape(clean)} as in {data.name}"
            )
        form, index = entries(len(numbers), data, self.form, found.kind, made, self.who)
        table["form"] = f"{form} ({_said(self.form)})"
        if labels is not None:
            wrong = int((labels[index] != data.train.labels.cpu()).sum())
            table["labels"] = f"{len(index) - wrong} of {len(index)} as the images' in their place"
            if wrong:
                raise BadInput(
                    f"{self.who}: {wrong} of {len(index)} entries have another label than the training image "
                    "in their place; expected the same images in the same order"
                )
        table["measured"] = f"{len(index.unique())} of {len(numbers)} entries, on {len(index)} images"
        found = replace(found, form=form, entries=tuple(index.tolist()))
        table["classes"] = ", ".join(f"{k} {name}" for k, name in enumerate(data.classes))
        published = found._published(numbers, clean)
        try:
            found._check_change(lambda b: published[b].int() - clean[b], len(clean), table)
        except BadInput as error:
            cause = causes.named(published, clean.cpu(), levels(self.eps)) if self.l2 is None else None
            raise BadInput(f"{error}; {cause}" if cause else str(error)) from None
        if found.kind == "images" and not made:
            table["order"] = "each image is within budget of the one in its place"
        # an L2 budget has no L-inf bound but the range
        eps = self.eps if self.l2 is None else 1.0
        return replace(found, published=digest(published), eps=eps)

    def _by_name(self, data: Dataset | None, table: Table) -> Foreign:
        """Measure what a protection tool left against its originals: its budget, unless one is stated."""
        listed = outputs(self.path)
        table["format"] = BY_NAME
        table["entries"] = f"{len(listed.files)} images"
        if data is None:
            table["L-inf"] = "unknown without the originals: name them with --data folder:DIR"
            return self
        found = self._expected(listed.digest(), table)
        index = listed.index(data, self.who)
        table["order"] = "by the names of the originals"
        numbers = listed.read(self.who, data.size, data.channels)
        said = listed.said(data, index, self.who)
        table |= said
        clean = data.train.images.cpu()
        whole = replace(self, kind="images", units="255", layout="chw", form="sample-wise", digest=found)
        altered = "; ".join(f"{what}: {seen}" for what, seen in said.items())
        whole = replace(whole, entries=tuple(index.tolist()), altered=altered)
        published = whole._published(numbers, clean)
        steps = [published[b].int() - clean[b] for b in audit.in_batches(len(clean))]
        measured = Change.of(steps, 1.0).linf / GRID
        if self.l2 is None and self.eps == 1:
            whole = replace(whole, eps=measured)
        whole._check_change(lambda b: published[b].int() - clean[b], len(clean), table)
        if not measured:
            raise BadInput(f"{self.who}: no image differs from its original, expected a perturbation")
        table["budget"] += ", as measured" if self.eps == 1 and self.l2 is None else ""
        return replace(whole, published=digest(published))

    def _read(
        self, table: Table, channels: int | None
    ) -> tuple[Foreign, Tensor, Manifest | None, Tensor | None]:
        """Read what the file alone says, its numbers, (count,C,H,W), its manifest and its labels."""
        content = files.read(self.path, self.who, self.array)
        table["format"] = "; ".join([content.format, *content.notes])
        found = self._expected(files.digest(self.path), table)
        summary = values.summarise(content.values)
        table["nan or infinite"] = f"{summary.odd} values"
        if summary.odd:
            where = f"the first in entry {summary.first}"
            raise BadInput(f"{self.who}: {summary.odd} values are nan or infinite, {where}; expected 0")
        numbers, layout = values.channels_first(content.values, self.layout, self.who)
        table["entries"] = f"{len(numbers)} of {_shape(numbers)}"
        table["layout"] = f"{layout} ({_said(self.layout)})"
        table["values"] = str(summary)
        if not summary.reach:
            raise BadInput(f"{self.who}: all values are 0, expected a perturbation, or images")
        kind, units = values.meaning(summary, self.kind, self.units, self.who)
        if beyond := values.outside(numbers, kind, units):
            table["clipped"] = f"{beyond} values outside of the range"
        table["kind"] = f"{kind} ({_said(self.kind)})"
        table["units"] = f"{units} is the full range ({_said(self.units)})"
        if kind == "images" and self.rounding == "positive":
            raise BadInput(f"{self.who}: rounding is 'positive', which is for deltas; these are images")
        whole = not summary.type.is_floating_point and self.rounding != "positive"
        table["rounding"] = "none, the numbers are whole" if whole else self.rounding
        made = manifest.load(self.path, self.who)
        if made:
            table["made by"] = f"{made.method.name} for {made.data.name}"
            audit.check_digests(numbers, made, self.who)
        if content.decoded and len(numbers[0]) == 1 and channels:
            numbers = numbers.expand(-1, channels, -1, -1)
        table["digests"] = f"{len(numbers)} of {len(numbers)} as in the manifest" if made else "none to check"
        table["order"] = "by the manifest's digests" if made else "taken as given"
        return (
            replace(self, digest=found, kind=kind, units=units, layout=layout),
            numbers,
            made,
            content.labels if made is None or made.labels is None else torch.tensor(made.labels),
        )

    def _expected(self, found: str, table: Table) -> str:
        """Note a digest; BadInput where another one was stated."""
        table["sha256"] = found
        if self.digest not in ("", found):
            raise BadInput(f"{self.who}: the digest is {found}, expected {self.digest}")
        return found

    def _check_change(self, steps: Callable[[slice], Tensor], count: int, table: Table) -> None:
        """Measure the change of so many entries, given their whole grey levels, and hold it to the budget."""
        change = Change.of(map(steps, audit.in_batches(count)), self.eps)
        change.into(table, self.threat)
        audit.check_change(change, self.threat, self.kind, self.who)

    def _published(self, numbers: Tensor, clean: Tensor) -> Tensor:
        """Publish the entries of all images: uint8 like clean, on the CPU."""
        clean, index, how = clean.cpu(), torch.tensor(self.entries), (self.kind, self.units, self.rounding)
        batches = audit.in_batches(len(clean))
        return torch.cat([values.publish(clean[b], numbers[index[b]], *how) for b in batches])

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        _, channels, size, _ = clean.images.shape
        if files.is_folder_of_outputs(self.path):  # as large as the images that they are for
            content = Content(outputs(self.path).read(self.who, size, channels), BY_NAME)
        else:
            content = files.read(self.path, self.who, self.array)
        numbers, _ = values.channels_first(content.values, self.layout, self.who)
        numbers = numbers.expand(-1, channels, -1, -1)
        published = self._published(numbers, clean.images)
        if digest(published) != self.published:
            raise ValueError(f"{self.who}: the file has changed since the run began")
        lab.note(file_format=content.format, file_digest=self.digest)
        lab.note(**{"file_altered": self.altered} if self.altered else {})
        return (published.to(clean.images.device).float() - clean.images) / GRID


def _said(field: str) -> str:
    return "inferred" if field == "infer" else "stated"


def _shape(images: Tensor) -> str:
    _, channels, h, w = images.shape
    return f"{w}x{h} pixels in {channels} channel{'s' if channels > 1 else ''}"


def name_of(path: Path) -> str:
    """Say what rows call it: never a path, and a name that --set can take a field of."""
    return f"file:{plain(path.name if path.is_dir() else path.stem) or 'poison'}"


def plain(name: str) -> str:
    return re.sub(r"[^\w-]+", "-", name).strip("-")


def at(place: str) -> Foreign:
    """Find a file or folder, with the budget that its manifest declares, or the usual one; else BadInput."""
    path, array = expanded(place).absolute(), ""  # worker processes may stand elsewhere
    if "#" in place and not path.exists():
        before, _, array = place.rpartition("#")
        path = expanded(before).absolute()
    if not path.exists():
        raise BadInput(f"file:{place}: there is no such file or folder")
    made, found = manifest.load(path, name_of(path)), Foreign(path=path, array=array)
    if made is not None:
        return replace(found, eps=made.eps, l2=made.l2)
    # of images by name what is measured, unless another budget is stated
    return replace(found, eps=1.0) if files.is_folder_of_outputs(path) else found


EXAMPLE = Foreign()
