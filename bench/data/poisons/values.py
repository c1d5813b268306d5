"""What a file's numbers mean: which axis has the channels, images or deltas, in which units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from bench.core.errors import BadInput
from bench.core.pixels import GRID, LEEWAY

Kind = Literal["infer", "delta", "images"]
Units = Literal["infer", "1", "255"]  # what the full range of a pixel is
Layout = Literal["infer", "chw", "hwc"]
Rounding = Literal["nearest", "truncate", "positive"]

EXACT = 1e-6
BATCH = 500  # images at once
CHANNELS = (1, 3)
SMALL = 0.5  # of the range: no perturbation that is meant to be invisible is larger
FAINT = 0.2  # of the range: no set of images is so dark throughout
OVER = 0.1  # of the range, by which numbers may leave it: they are clipped, and counted
SIGNED = 0.01  # of the values other than 0: numbers that have fewer below 0 are not deltas for that
COARSE = 3  # grey levels: a perturbation in such units has some that are larger
BRIGHT = 64  # grey levels: a set of images has some that are brighter


@dataclass(frozen=True)
class Summary:
    """What the numbers are like."""

    type: torch.dtype
    lowest: float
    highest: float
    odd: int  # how many are nan or infinite
    first: int | None  # the first entry that has one
    negative: float = 0.0  # share of the values other than 0

    @property
    def reach(self) -> float:
        return max(-self.lowest, self.highest)

    @property
    def signed(self) -> bool:
        return self.negative >= SIGNED or self.type == torch.int8

    def __str__(self) -> str:
        return f"{str(self.type).removeprefix('torch.')} from {self.lowest:.6g} to {self.highest:.6g}"


def summarise(values: Tensor) -> Summary:
    lowest, highest, odd, first = float("inf"), float("-inf"), 0, None
    below = other = 0
    for start in range(0, len(values), BATCH):
        part = values[start : start + BATCH]
        good = part.isfinite()
        if not bool(good.all()):
            bad = ~good.flatten(1).all(1)
            first = start + int(bad.nonzero()[0]) if first is None else first
            odd, part = odd + int((~good).sum()), part[good]
        below, other = below + int((part < 0).sum()), other + int((part != 0).sum())
        if part.numel():
            lowest, highest = min(lowest, float(part.min())), max(highest, float(part.max()))
    return Summary(values.dtype, lowest, highest, odd, first, below / max(other, 1))


def outside(values: Tensor, kind: Kind, units: Units) -> int:
    """Count the values that leave the range and are clipped: 0 to units, of deltas from -units."""
    lowest = 0 if kind == "images" else -int(units)
    parts = values.split(BATCH)
    return sum(int(((part < lowest) | (part > int(units) * (1 + EXACT))).sum()) for part in parts)


def channels_first(values: Tensor, layout: Layout, who: str) -> tuple[Tensor, Layout]:
    """Order the axes (N,C,H,W); give them, and the layout that the file has."""
    shape = tuple(values.shape)
    fits: list[Layout] = []
    if shape[1] in CHANNELS:
        fits.append("chw")
    if shape[3] in CHANNELS:
        fits.append("hwc")
    if layout != "infer" and layout not in fits:
        raise BadInput(f"{who}: the shape is {shape}, which is no {layout} with 1 or 3 channels")
    if layout == "infer" and len(fits) != 1:
        why = "two axes could have the channels" if fits else "no axis has 1 or 3 channels"
        raise BadInput(f"{who}: the shape is {shape}: {why}; state it with --set {who}.layout=chw or hwc")
    chosen = fits[0] if layout == "infer" else layout
    return (values if chosen == "chw" else values.permute(0, 3, 1, 2)), chosen


def meaning(summary: Summary, kind: Kind, units: Units, who: str) -> tuple[Kind, Units]:
    """Tell images from delta, and units, as stated or as the numbers say; BadInput where they do not say."""
    readings = [(k, u) for k in ("delta", "images") for u in ("1", "255") if _possible(summary, k, u)]
    stated = [(k, u) for k, u in readings if kind in (k, "infer") and units in (u, "infer")]
    if not stated:
        named = " ".join(word for word in (kind, f"in units of {units}") if "infer" not in word)
        able = " or ".join(f"{k} in units of {u}" for k, u in readings) or "no such thing"
        raise BadInput(f"{who}: {named or 'a poison'} cannot be {summary}; that could be {able}")
    left_open = kind == "infer" or (units == "infer" and summary.type.is_floating_point)
    found = [r for r in stated if _likely(summary, *r)] if left_open else stated
    if len(found) != 1:
        able = " or ".join(f"{k} in units of {u}" for k, u in stated)
        raise BadInput(
            f"{who}: {summary} could be {able}, but is like none of them (normalised images must be brought "
            f"to 0..1 first); state it with --set {who}.kind=delta or images, and --set {who}.units=1 or 255"
        )
    ((k, u),) = found
    return ("delta" if k == "delta" else "images"), ("1" if u == "1" else "255")


def _possible(summary: Summary, kind: str, units: str) -> bool:
    """Whether numbers can mean this at all."""
    if not summary.type.is_floating_point and units == "1":
        return False
    if kind == "images" and (summary.lowest < -OVER * int(units) or summary.type == torch.int8):
        return False
    return summary.reach <= int(units) * (1 + OVER)


def _likely(summary: Summary, kind: str, units: str) -> bool:
    """Whether numbers are as usual for what they may mean."""
    if not summary.type.is_floating_point:
        bright = summary.type == torch.uint8 or summary.highest > BRIGHT
        return summary.signed if kind == "delta" else bright and not summary.signed
    if kind == "images":
        return not summary.signed and summary.highest > (SMALL if units == "1" else BRIGHT)
    if units == "1":
        return summary.reach <= (SMALL if summary.signed else FAINT)
    return summary.signed and summary.reach >= COARSE


def steps(values: Tensor, units: Units, rounding: Rounding) -> Tensor:
    """Turn numbers to whole grey levels, float32, as publish() takes them.

    The whole part of a sum is the sum with the whole part. LEEWAY keeps 8/255, which is a little less
    than 8 levels as a float32, at 8 levels.
    """
    x = values.to(torch.float32) * (GRID / int(units))
    if rounding == "nearest":
        return x.round()
    return (x.clamp_min(0) if rounding == "positive" else x).add(LEEWAY).floor()


def publish(clean: Tensor, values: Tensor, kind: Kind, units: Units, rounding: Rounding) -> Tensor:
    """Make the images that a file's numbers stand for, uint8 (n,C,H,W); only the range 0..255 clips them.

    clean: uint8 (n,C,H,W). Rounding: nearest; truncate, where the sum is cut to whole grey levels (MI-UE's
    reader); positive, the same after negative deltas are dropped (EM's reader).
    """
    if kind == "delta":
        return steps(values, units, rounding).add_(clean).clamp_(0, GRID).to(torch.uint8)
    return steps(values, units, rounding).clamp_(0, GRID).to(torch.uint8)
