"""What a method does to images: clean, delta made visible, published."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from bench.report.figures.style import WIDTH, titled_figure
from bench.results.rows import Row
from bench.results.samples import Pixels, Sample

GAP = 2  # white pixels between images


def gallery(row: Row, sample: Sample) -> Figure:
    """Draw three strips; pixels are squares, nothing is smoothed."""
    clean, published = sample.clean.astype(np.int16), sample.published.astype(np.int16)
    delta = published - clean
    factor = amplification(row, delta)
    shown = np.clip(127.5 + factor * delta, 0, 255).round().astype(np.uint8)
    strips = {"clean images": sample.clean, f"delta x {factor}": shown, "published": sample.published}
    n, high, wide = sample.clean.shape[:3]
    height = 3 * ((WIDTH - 1.0) / n * high / wide + 0.04)
    title, footnote = f"{row.method}: {_measured(row)}", f"published images {(row.published or '')[:8]}"
    figure = titled_figure(title, caption(row, sample, factor), 0.05 + height, footnote=footnote)
    for axes, (name, images) in zip(figure.subplots(3), strips.items(), strict=True):
        axes.imshow(strip(images), interpolation="nearest", cmap="gray", vmin=0, vmax=255)
        axes.set(xticks=[], yticks=[])
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
        axes.spines[:].set_visible(False)
    return figure


def amplification(row: Row, delta: np.ndarray[tuple[int, ...], np.dtype[np.int16]]) -> int:
    """Return the factor that brings the largest change to the whole range: of all images, or of these.

    Of what was measured, not of the budget: an L2 budget says little of single pixels.
    """
    most = int(np.abs(delta).max()) if row.linf is None else round(255 * row.linf)
    return max(1, round(127.5 / most)) if most else 1


def strip(images: Pixels) -> Pixels:
    """(N,H,W,C) -> (H,N*(W+gap),C or none)."""
    padded = np.pad(images, ((0, 0), (0, 0), (0, GAP), (0, 0)), constant_values=255)
    long = np.concatenate(list(padded), axis=1)[:, :-GAP]
    return long[:, :, 0] if long.shape[2] == 1 else long


def caption(row: Row, sample: Sample, factor: int) -> str:
    crop = "" if sample.size <= sample.clean.shape[1] else f" The middle of {sample.size} pixels a side."
    return (
        f"{row.data}. Delta is drawn as gray + {factor} x delta: gray is no change, the largest "
        f"change is the whole range.{crop}"
    )


def _measured(row: Row) -> str:
    if row.linf == 0:
        return "nothing changed"
    details = {
        "L-inf {:.1f}/255": row.linf and 255 * row.linf,
        "L2 {:.2f} on average": row.l2,
        "PSNR {:.1f} dB": row.psnr,
        "SSIM {:.3f}": row.ssim,
    }
    said = ", ".join(phrase.format(value) for phrase, value in details.items() if value is not None)
    return f"measured {said}" if said else "not measured"
