"""Where in the spectrum delta lies: what JPEG, blurring and gray images act on."""

from __future__ import annotations

import numpy as np
import torch

from bench.metrics import Subject, Value
from bench.metrics.inputs import delta_of

LOW, HIGH = 0.125, 0.25  # cycles per pixel, Euclidean: a quarter and a half of the Nyquist frequency
BATCH = 500  # images
# BT.601 as JPEG has it, linear part: rows Y, Cb, Cr of columns R, G, B.
YCBCR = [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]


def frequency(subject: Subject) -> dict[str, Value]:
    """`value`: spectral centroid of delta's energy in cycles per pixel, over all images and channels.

    Frequencies are those of the 2-D discrete Fourier transform of each image and channel, at their
    Euclidean radius; `low` is below 1/8 cycles per pixel (constant colour included), `high` from 1/4
    on. White noise has as much energy in a band as that has frequencies: `white_low`, `white_centroid`.
    `luma` is the energy of Y over that of Y, Cb and Cr; images of one channel are all luma.
    """
    delta = delta_of(subject, "frequency")
    energy = np.zeros(delta.shape[2:])
    for part in delta.split(BATCH):
        energy += (np.abs(np.fft.fft2(part.numpy())) ** 2).sum(axis=(0, 1))
    high, wide = energy.shape
    # of each frequency of the transform, in cycles per pixel
    radius = np.hypot(np.fft.fftfreq(high)[:, None], np.fft.fftfreq(wide))
    share = energy / energy.sum()
    low, high = radius < LOW, radius >= HIGH
    return {
        "value": float((share * radius).sum()),
        "low": float(share[low].sum()),
        "mid": float(share[~low & ~high].sum()),
        "high": float(share[high].sum()),
        "luma": _luma(delta),
        "white_low": float(low.mean()),
        "white_mid": float((~low & ~high).mean()),
        "white_high": float(high.mean()),
        "white_centroid": float(radius.mean()),
    }


def _luma(delta: torch.Tensor) -> float:
    if delta.shape[1] != 3:
        return 1.0
    energies = torch.zeros(3, dtype=torch.float64)
    for part in delta.split(BATCH):
        planes = torch.einsum("pc,nchw->pnhw", torch.tensor(YCBCR, dtype=torch.float64), part.double())
        energies += planes.square().sum((1, 2, 3))
    return float(energies[0] / energies.sum())
