"""Lines -> certificate.md, for people, and the figure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from bench.metrics.mi.limits import CERTIFIED
from bench.report import formats
from bench.report.figures.style import png_and_svg, style
from bench.studies.certificate.case import Line
from bench.studies.certificate.figures import certificate
from bench.studies.certificate.run import NAME

COLUMNS = "against", "d", "n", "draws", "truth", "mean", "bias", "spread", "coverage", "accepted", "verdict"
HEAD = """# Certificate of the MI estimators

Each estimator against what is known to be true; nats, and 1 of CKA. Bias and spread (standard deviation)
are those of the error over draws; coverage is the share of 95 % intervals that hold the truth, asked for
where "accepted" names it. A bound is an "at least" in place of a number. `python -m bench mi-check` makes
this file.
"""


def write(lines: Sequence[Line], out: Path) -> list[Path]:
    """All that follows from the lines; certificate.csv is there already."""
    text = "\n".join([HEAD, f"**{summary(lines)}**", "", *_ranges(), *_tables(lines)])
    with style():
        image, vector = png_and_svg(certificate(lines))
    contents: dict[str, str | bytes] = {f"{NAME}.md": text, f"{NAME}.png": image, f"{NAME}.svg": vector}
    return [out / f"{NAME}.csv", *formats.write(contents, out)]


def summary(lines: Sequence[Line]) -> str:
    counted = {
        verdict: sum(line.verdict == verdict for line in lines) for verdict in ("ok", "FAILED", "skipped")
    }
    return ", ".join(f"{count} {verdict}" for verdict, count in counted.items() if count)


def complaints(lines: Sequence[Line]) -> list[str]:
    """List what is not as it should be, and what could not be computed."""
    return [f"{line.verdict} {line.name}: {line.reason}" for line in lines if line.reason]


def _ranges() -> Iterator[str]:
    yield from ("## Certified range", "")
    lines = [[name, own.images, f"{own.most:g}", own.per_dimension or ""] for name, own in CERTIFIED.items()]
    columns = ["estimator", "images, at least", "a number up to", "images a dimension"]
    yield formats.markdown(pd.DataFrame(lines, columns=columns), "lr")


def _tables(lines: Sequence[Line]) -> Iterator[str]:
    for estimator in dict.fromkeys(line.estimator for line in lines):
        yield from ("", f"## {estimator}", "")
        own = [asdict(line) for line in lines if line.estimator == estimator]
        yield formats.markdown(pd.DataFrame(own, columns=COLUMNS, dtype=object), "lrrrrrrrrll", absent="")
    yield ""
    yield from (f"- {complaint}" for complaint in complaints(lines))
