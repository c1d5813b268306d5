"""Which explanation of why unlearnable examples work goes with what they cost, on the same poisons and seeds.

MI-UE says: effective poisons lower the mutual information between features of clean and published
images, and a lower covariance within classes lowers it. Beside it stand simpler stories. All are
measured on the same poisons, victims and images and correlated with the accuracy gap over methods, whose
threat models differ: so each is looked at given the size of the perturbation as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.report.figures.style import style
from bench.results.rows import Row
from bench.results.select import CLEAN
from bench.runner.request import Variation
from bench.studies.explain.compare import compare
from bench.studies.explain.figures import correlations, directions, scatters
from bench.studies.explain.points import points_of
from bench.studies.explain.tables import short, tables
from bench.studies.explain.text import text
from bench.studies.records import MI_LIKE, Explanation
from bench.studies.study import Findings, Record, Study

# each at its own threat model, so that a figure that goes with the gap must do so across them
METHODS = (
    *(CLEAN, "random", "region-4"),
    *("em", "em-class", "emax", "tap", "mi-ue", "aue"),
    *("lsp", "ar", "cuda", "ops"),
)

MI_GAP = Explanation("smi-noisy-gap", "MI gap, smi-noisy, nats", "MI", "smi-noisy", "gap", by_rank=False)
SPREAD = Explanation("spread-fall", "fall of log det within classes", "rival", "class-spread", gap_to=CLEAN)
DISTANCE = Explanation("distance", "feature distance, clean spreads", "rival", "feature-distance")


def _in_cleans_net(own: Explanation, label: str) -> Explanation:
    """Look at the same through the net trained on clean."""
    return replace(own, name=f"{own.name}-clean-net", label=label, through_clean=True)


EXPLANATIONS = (
    MI_GAP,
    Explanation("smi-hist-gap", "MI gap, smi-hist, nats", "MI", "smi-hist", gap_to=CLEAN),
    Explanation("gauss-cca-gap", "MI gap, gauss-cca, nats", "MI", "gauss-cca", gap_to=CLEAN),
    Explanation("infonce-gap", "MI gap, infonce, nats", "MI", "infonce", gap_to=CLEAN),
    Explanation("cka-gap", "CKA gap (not MI)", "proxy", "cka", gap_to=CLEAN, by_rank=False),
    _in_cleans_net(MI_GAP, "MI gap in clean's net, smi-noisy, nats"),
    SPREAD,
    _in_cleans_net(SPREAD, "fall of log det within classes in clean's net"),
    Explanation(
        "cosine-rise",
        "rise of cosine within classes",
        "rival",
        "class-spread",
        "intra_cosine_gain",
        by_rank=False,
    ),
    Explanation("separability", "separability of delta, held out", "rival", "separability"),
    Explanation(
        "separability-train", "separability of delta, training", "rival", "separability", "train_accuracy"
    ),
    Explanation("centroid", "spectral centroid of delta, cycles/pixel", "rival", "frequency", expected=0),
    Explanation("luma", "share of luma in delta", "rival", "frequency", "luma", expected=0),
    DISTANCE,
    _in_cleans_net(DISTANCE, "feature distance in clean's net, clean spreads"),
    Explanation("energy", "size of delta, mean L2 norm", "strength", key="l2"),
)
# What the theory says goes together: a fall of the covariance within classes, and a fall of MI.
THEORY = (("spread-fall", "smi-noisy-gap"), ("spread-fall-clean-net", "smi-noisy-gap-clean-net"))


def grids() -> Sequence[Variation]:
    return [Variation(",".join(METHODS), "none")]


def analyse(rows: Sequence[Row], records: Sequence[Record]) -> Findings:
    """Tables of points, explanations, partial correlations and the theory's direction; figures; words."""
    found = compare(points_of(rows, records, EXPLANATIONS), EXPLANATIONS, THEORY)
    with style():
        figures = {
            "explanations-mi": scatters(found, [e for e in EXPLANATIONS if e.kind in MI_LIKE]),
            "explanations-rivals": scatters(found, [e for e in EXPLANATIONS if e.kind == "rival"]),
            "correlations": correlations(found),
            "theory": directions(found),
        }
    made = {name: figure for name, figure in figures.items() if figure is not None}
    return Findings(tables(found, rows, records), made, text(rows, found), shown=short(found))


STUDY = Study(
    "rival explanations of why unlearnable examples work, on the same poisons and seeds",
    grids,
    analyse,
    measures=tuple(dict.fromkeys(e.measure for e in EXPLANATIONS if e.measure)),
    through_clean=tuple(dict.fromkeys(e.measure for e in EXPLANATIONS if e.through_clean)),
)
