"""The audit of a foreign poison: what it is, what it does to the images, and whether that is as declared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.core.errors import BadInput
from bench.core.pixels import GRID, digest, levels
from bench.core.threat import Threat
from bench.data.poisons.manifest import Manifest
from bench.data.poisons.values import BATCH

Table = dict[str, str]  # what was looked at -> what was seen, in the order of looking


@dataclass(frozen=True)
class Change:
    """What was measured, in grey levels: published minus clean images, or deltas alone."""

    count: int
    linf: int
    l2: float  # the largest, in [0,1] units
    mean_l2: float
    l0: float  # mean share of pixels changed in any channel
    saturated: float  # share of values at the L-inf budget
    over: int  # entries beyond the L-inf budget
    values: int  # of one entry

    @staticmethod
    def of(steps: Iterable[Tensor], eps: float) -> Change:
        """Measure a change. steps: whole grey levels (n,C,H,W), in batches."""
        cap, linf, norms, l0, full, over, values = levels(eps), 0, [], 0.0, 0.0, 0, 0
        for step in steps:
            size, values = step.abs(), step[0].numel()
            top = size.flatten(1).amax(1)
            linf, over = max(linf, int(top.max())), over + int((top > cap).sum())
            norms.append(size.double().flatten(1).norm(dim=1) / GRID)
            l0 += float((size > 0).any(1).double().mean((1, 2)).sum())
            full += float((size >= max(cap, 1)).double().flatten(1).mean(1).sum())
        l2 = torch.cat(norms)
        n = len(l2)
        return Change(n, linf, float(l2.max()), float(l2.mean()), l0 / n, full / n, over, values)

    def into(self, table: Table, budget: Threat) -> None:
        table["L-inf"] = f"{self.linf}/255"
        table["L2"] = f"{self.mean_l2:.4f} on average, {self.l2:.4f} at most"
        table["L0"] = f"{self.l0:.1%} of the pixels"
        if budget.norm == "linf":
            table["at the budget"] = f"{self.saturated:.1%} of the values"
        table["budget"] = str(budget)


def check_digests(images: Tensor, made: Manifest, who: str) -> None:
    """Hold published images against the digests of their manifest, one by one."""
    if len(images) != len(made.images) or len(images) != len(made.rows):
        raise BadInput(f"{who}: there are {len(images)} images, the manifest lists {len(made.images)}")
    seen = [digest(image) for image in images]
    if wrong := [place for place, one in enumerate(seen) if one != made.images[place]]:
        first = wrong[0]
        if Counter(seen) == Counter(made.images):
            where = made.images.index(seen[first])
            what = f"image {first} is the manifest's image {where}: the order is shuffled"
        else:
            what = f"image {first} is not what the manifest says: changed or damaged"
        raise BadInput(f"{who}: {what} ({len(wrong)} of {len(images)} differ)")


def check_change(change: Change, budget: Threat, kind: str, who: str) -> None:
    """Hold a change against the declared budget; a poison that changes nothing is refused as well."""
    if not change.linf and (budget.radius > 0 or budget.norm == "l2"):
        raise BadInput(
            f"{who}: no image changes: nothing survives rounding to grey levels; "
            f"expected a perturbation within {budget}; are the units right? (--set {who}.units=1 or 255)"
        )
    if budget.norm == "linf" and change.over:
        raise BadInput(
            f"{who}: {change.over} of {change.count} entries are over budget, by up to {change.linf}/255; "
            f"expected {budget}; {_cause(change, kind, who)}"
        )
    # rounding moves each value by up to half a level, which adds a twelfth of a level squared
    slack = (change.values / 12) ** 0.5 / GRID
    if budget.norm == "l2" and change.l2 > budget.radius + slack:
        raise BadInput(
            f"{who}: the largest L2 norm is {change.l2:.4f}, expected {budget} (and {slack:.4f} for rounding)"
            f"; {_cause(change, kind, who)}"
        )


def _cause(change: Change, kind: str, who: str) -> str:
    if kind == "images" and change.linf > GRID // 4:
        return (
            "so far off, they are likely in another order than the training images, or made for other data "
            "(or another --limit)"
        )
    return f"state another budget with --eps, --set {who}.eps=1 (any) or --set {who}.l2=1.0, if it is meant"


def in_batches(n: int) -> list[slice]:
    return [slice(start, start + BATCH) for start in range(0, n, BATCH)]
