"""Distances of published from clean images."""

from __future__ import annotations

import torch
from kornia.metrics import ssim
from torch import Tensor

from bench.core.pixels import GRID, to_float

BATCH = 500


def distances(clean: Tensor, published: Tensor) -> dict[str, float | None]:
    """Measure L-inf, L2, L0, PSNR and SSIM of published against clean images, uint8 (N,C,H,W).

    Pixels in [0,1]; L2 is a mean over images, L0 the mean share of pixels changed in any channel,
    PSNR in dB from the mean squared error of all images (None where nothing changed), SSIM a mean
    over images with a Gaussian window of 11 pixels (Wang et al., IEEE TIP 2004).
    """
    linf, squared, l2, l0, similar = 0.0, 0.0, 0.0, 0.0, 0.0
    for before, after in zip(clean.split(BATCH), published.split(BATCH), strict=True):
        x, z = to_float(before), to_float(after)
        change = z - x
        linf = max(linf, int((after.int() - before.int()).abs().amax()) / GRID)
        squares = change.square().flatten(1).sum(1).double()
        squared, l2 = squared + float(squares.sum()), l2 + float(squares.sqrt().sum())
        l0 += float((before != after).any(1).double().mean((1, 2)).sum())
        similar += float(ssim(x, z, 11).double().mean((1, 2, 3)).sum())
    n, mse = len(clean), squared / clean.numel()
    psnr = -10 * float(torch.tensor(mse, dtype=torch.float64).log10()) if mse else None
    return {"linf": linf, "l2": l2 / n, "l0": l0 / n, "psnr": psnr, "ssim": similar / n}
