"""Lines -> certificate.md, for people, and the figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from bench.metrics.mi.limits import CERTIFIED
from bench.report import formats
from bench.report.figures.style import png_and_svg, style
from bench.studies.certificate.case import CaseResult
from bench.studies.certificate.figures import certificate
from bench.studies.certificate.run import NAME

COLUMNS = "against", "d", "n", "draws", "truth", "mean", "bias", "spread", "coverage", "accepted", "verdict"
RANGE = "estimator", "images, at least", "a number up to", "images a dimension"
HEAD = """# Certificate of the MI estimators

Each estimator against what is known to be true; nats, and 1 of CKA. Bias and spread (standard deviation)
are those of the error over draws; coverage is the share of 95 % intervals that hold the truth, asked for
where "accepted" names it. A bound is an "at least" in place of a number. `python -m bench mi-check` makes
this file.

What smi-noisy, the rows' own, cannot see: it is measured in the victim's own net, so that a victim that
failed shows it there, and it explains nothing by itself; and one direction is matched with itself, so that
dependence which turns directions is missed. `gauss-cca` and `cka` see that, and the studies measure the same
in a net that was trained on clean images.

Its intervals know no bias. Of heavy tails (Student's t of 3 degrees) and of features that are zero for half
of the images it is up to 0.012 nats, as much as the interval reaches: there 25 to 85 % of the intervals of
the value hold the truth, and 50 to 100 % of the ceiling's.
"""


def write(lines: Sequence[CaseResult], out: Path) -> list[Path]:
    """All that follows from the lines; certificate.csv is there already."""
    with style():
        image, vector = png_and_svg(certificate(lines))
    named: dict[str, str | bytes] = {"md": _text(lines), "png": image, "svg": vector}
    contents = {f"{NAME}.{ending}": content for ending, content in named.items()}
    return [out / f"{NAME}.csv", *formats.write(contents, out)]


def summary(lines: Sequence[CaseResult]) -> str:
    counted = Counter(line.verdict for line in lines)
    return ", ".join(f"{counted[each]} {each}" for each in ("ok", "FAILED") if counted[each])


def complaints(lines: Sequence[CaseResult]) -> list[str]:
    """List what is not as it should be, and what could not be computed."""
    return [f"{line.verdict} {line.name}: {line.reason}" for line in lines if line.reason]


def _text(lines: Sequence[CaseResult]) -> str:
    ends = [[name, own.images, f"{own.most:g}", own.per_dimension or ""] for name, own in CERTIFIED.items()]
    certified = pd.DataFrame(ends, columns=RANGE)
    parts = [HEAD, f"**{summary(lines)}**", "", "## Certified range", "", formats.markdown(certified, "lr")]
    for estimator in dict.fromkeys(line.estimator for line in lines):
        own = [asdict(line) for line in lines if line.estimator == estimator]
        table = pd.DataFrame(own, columns=COLUMNS, dtype=object)
        parts += ["", f"## {estimator}", "", formats.markdown(table, "lrrrrrrrrll", absent="")]
    return "\n".join([*parts, "", *(f"- {complaint}" for complaint in complaints(lines))])
