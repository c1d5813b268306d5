"""One section for each cell: all that its rows say."""

from __future__ import annotations

from typing import Any

from bench.report.html.warnings import warnings_of_row
from bench.report.summary import Evidence
from bench.report.tables import text_of
from bench.results.rows import Row
from bench.results.select import CLEAN


def cell(evidence: Evidence, method: str, defense: str) -> dict[str, Any]:
    """Prepare what cell.html.j2 shows of one method under one defense."""
    rows, clean = (evidence.groups.get((name, defense), []) for name in (method, CLEAN))
    shown = evidence.accuracy.cells[method, defense]
    number = text_of(shown, "accuracy") + (" %" if shown.mean is not None else "")
    return {
        "method": method,
        "defense": defense,
        "number": number if rows else "missing",
        "curve": evidence.curve(method, defense) is not None,
        "rows": rows,
        "articles": [(row, warnings_of_row(row, clean), details(row)) for row in rows],
    }


def details(row: Row) -> list[tuple[str, str | None]]:
    """Name what was measured and under what; None where it was not."""

    def said(form: str, value: float | None, scale: float = 1.0) -> str | None:
        return None if value is None else form.format(scale * value)

    estimator = [row.mi_estimator, said("{:.0f} images", row.mi_images), said("{:.0f} slices", row.mi_slices)]
    return [
        ("L-inf", said("{:.2f}/255", row.linf, 255)),
        ("L2, mean", said("{:.3f}", row.l2)),
        ("L0, share of pixels", said("{:.3f}", row.l0)),
        ("PSNR", said("{:.1f} dB", row.psnr)),
        ("SSIM", said("{:.3f}", row.ssim)),
        ("published", row.published and f"sha256 {row.published[:16]}"),
        ("MI", ", ".join(part for part in estimator if part) or None),
        ("crafting", said("{:.1f} s", row.craft_seconds)),
        ("crafting, memory", said("{:.0f} MB", row.craft_peak_mb)),
        ("victim", said("{:.1f} s", row.train_seconds)),
        ("victim, memory", said("{:.0f} MB", row.train_peak_mb)),
        ("seeds", ", ".join(f"{name} {seed}" for name, seed in row.seeds.items()) or None),
        ("commit", str(row.environment.get("commit", "unknown"))),
        ("finished", row.finished or None),
        ("attempt", str(row.attempt)),
        ("row", f"{row.key[:16]}.json"),
    ]
