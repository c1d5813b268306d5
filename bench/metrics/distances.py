"""Distances of published from clean images; what of them is of low frequency, and of a class."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from kornia.metrics import ssim
from torch import Tensor

from bench.core.pixels import GRID, to_float

BATCH = 500
CELL = 4  # pixels on a side over which low frequencies are averaged
# Of one number an image: the middle, the one in twenty that is changed most, and the one that is
HIGH, LOW = ("median", "p95", "max"), ("median", "p05", "min")


def _spread(name: str, of: tuple[str, ...]) -> list[str]:
    return [f"{name}_{which}" for which in of]


DISTANCES = (
    *("linf", "l2", "l0", "psnr", "ssim", "low_share", "class_share"),
    *(name for norm in ("linf", "l2", "l0") for name in _spread(norm, HIGH)),
    *(name for quality in ("psnr", "ssim") for name in _spread(quality, LOW)),
)


def distances(clean: Tensor, published: Tensor, labels: Tensor) -> dict[str, float | None]:
    """Measure published against clean images, uint8 (N,C,H,W) both. labels: int64 (N,).

    Pixels in [0,1]. linf is the largest of all images, l2 a mean over images, l0 the mean share of pixels
    changed in any channel, psnr in dB from the mean squared error of all images (None where nothing changed),
    ssim a mean over images with a Gaussian window of 11 pixels (Wang et al., IEEE TIP 2004). _median, _p95,
    _p05, _max and _min are over images, those of psnr None where such an image did not change.
    low_share: the share of the perturbations' energy, in [0,1], that is left when each is averaged over
    squares of 4x4 pixels; class_share: that of each class's mean perturbation (of independent
    noise, the number of classes over that of images); None where nothing changed.
    """
    each: dict[str, list[Tensor]] = {name: [] for name in ("linf", "squares", "l0", "ssim")}
    means = torch.zeros((int(labels.max()) + 1, clean[0].numel()), dtype=torch.float64, device=clean.device)
    low = 0.0
    batches = zip(clean.split(BATCH), published.split(BATCH), labels.split(BATCH), strict=True)
    for before, after, of in batches:
        x, z = to_float(before), to_float(after)
        change = z - x
        each["linf"].append((after.int() - before.int()).abs().amax((1, 2, 3)).double() / GRID)
        each["squares"].append(change.square().flatten(1).sum(1).double())
        each["l0"].append((before != after).any(1).double().mean((1, 2)))
        each["ssim"].append(ssim(x, z, 11).double().mean((1, 2, 3)))
        low += float(_averaged(change).square().double().sum())
        means.index_add_(0, of, change.flatten(1).double())
    each["l2"] = [squares.sqrt() for squares in each["squares"]]
    found = {name: torch.cat(parts) for name, parts in each.items()}
    total = {name: sum(float(part.sum()) for part in parts) for name, parts in each.items()}
    n, energy = len(clean), total["squares"]
    counts = labels.bincount(minlength=len(means)).clamp(min=1)
    of_classes = float((means.square().sum(1) / counts).sum())
    said: dict[str, float | None] = {
        "linf": float(found["linf"].max()),
        "l2": total["l2"] / n,
        "l0": total["l0"] / n,
        "psnr": _decibels(energy / clean.numel()),
        "ssim": total["ssim"] / n,
        "low_share": min(low / energy, 1.0) if energy else None,
        "class_share": min(of_classes / energy, 1.0) if energy else None,
    }
    for name in ("linf", "l2", "l0"):
        said |= dict(zip(_spread(name, HIGH), _quantiles(found[name], (0.5, 0.95, 1.0)), strict=True))
    errors = _quantiles(found["squares"] / clean[0].numel(), (0.5, 0.95, 1.0))
    said |= dict(zip(_spread("psnr", LOW), map(_decibels, errors), strict=True))
    said |= dict(zip(_spread("ssim", LOW), _quantiles(found["ssim"], (0.5, 0.05, 0.0)), strict=True))
    return said


def _averaged(change: Tensor) -> Tensor:
    """Average over squares of CELL pixels, at the size of the images; those at the edge may be smaller."""
    small = F.avg_pool2d(change, CELL, ceil_mode=True)
    h, w = change.shape[-2:]
    return small.repeat_interleave(CELL, 2)[..., :h, :].repeat_interleave(CELL, 3)[..., :w]


def _quantiles(values: Tensor, at: tuple[float, ...]) -> list[float]:
    return [float(value) for value in values.quantile(values.new_tensor(at))]


def _decibels(mse: float) -> float | None:
    """Peak signal to noise ratio in dB of a mean squared error of pixels in [0,1]; None of 0."""
    return -10 * float(torch.tensor(mse, dtype=torch.float64).log10()) if mse > 0 else None
