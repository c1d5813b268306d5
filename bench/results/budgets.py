"""What methods were measured to change of images, beside what they declare."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from bench.results.rows import Row


@dataclass(frozen=True)
class Measure:
    """A column of rows that says how far published images are from the clean ones."""

    column: str
    label: str  # of its column in a table
    form: str
    scale: float = 1.0  # units of the label in one of the row
    over: Callable[[Sequence[float]], float] = fmean  # poisons of a method


MEASURES = (
    Measure("linf", "L-inf max", "{:.1f}", 255, max),
    Measure("l2_median", "L2 median", "{:.2f}"),
    Measure("l2_max", "L2 max", "{:.2f}", over=max),
    Measure("l0_median", "L0 median", "{:.2f}", 100),
    Measure("psnr_median", "PSNR median", "{:.1f}"),
    Measure("ssim_median", "SSIM median", "{:.3f}"),
    Measure("low_share", "low frequency", "{:.1f}", 100),
)
HEAD = ("threat model", *(measure.label for measure in MEASURES))
UNITS = (
    "L-inf in grey levels of 255, L2 of pixels in [0,1], L0 in percent of an image's pixels, PSNR in dB, and "
    "the percentage of low frequency"
)
CAPTION = f"Threat models as declared, and what was measured: {UNITS}."
LEGEND = (
    "what the method declares of each published image, and what was measured of them: the largest change of "
    "a value, the L2 norm of an image's change with pixels in [0,1], the share of its pixels that changed, "
    "PSNR and SSIM of an image, medians over images, means over poisons (max: the largest of all); and the "
    "share of the perturbations' energy that averaging over 4x4 pixels leaves"
)


@dataclass(frozen=True)
class Budget:
    """The threat model that a method declares, and what was measured; None: not measured."""

    threat: str  # empty where nothing is perturbed
    measured: dict[str, float | None]  # column -> value, in its unit

    @property
    def texts(self) -> list[str]:
        """Write it under HEAD."""
        values = ((measure, self.measured[measure.column]) for measure in MEASURES)
        return [self.threat or "-"] + [
            "-" if value is None else measure.form.format(measure.scale * value) for measure, value in values
        ]


def budget_of(rows: Iterable[Row]) -> Budget:
    """Sum up the rows of one method: of each poison one that says."""
    ours = [*rows]
    threats = sorted({row.threat for row in ours if row.threat.radius > 0}, key=lambda threat: threat.order)

    def value(measure: Measure) -> float | None:
        known = {row.poison_rep: x for row in ours if (x := getattr(row, measure.column)) is not None}
        return measure.over([*known.values()]) if known else None

    return Budget(" and ".join(map(str, threats)), {m.column: value(m) for m in MEASURES})


def beside(rows: Sequence[Row], *, several: bool = False) -> dict[str, list[str]]:
    """Write the budgets of methods of several threat models, by method; nothing where there is one alone.

    several: whether there are others in the run, in tables of their own; what a table's title has, the threat
    model, is left out then.
    """
    if not several and len({str(row.threat) for row in rows if row.threat.radius > 0}) < 2:
        return {}
    methods = dict.fromkeys(row.method for row in rows)
    texts = {name: budget_of(row for row in rows if row.method == name).texts for name in methods}
    return {name: said[several:] for name, said in texts.items()}
