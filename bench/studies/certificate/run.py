"""Compute the certificate, keeping every finished case in certificate.csv: it goes on where it stopped."""

from __future__ import annotations

import importlib.metadata
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import pandas as pd

from bench.core.errors import BadInput
from bench.core.files import write_atomically
from bench.core.stored import converted, read
from bench.metrics import METRICS
from bench.report import formats
from bench.results import upgrade
from bench.studies.certificate.case import Case, CaseResult, judge

KSG = 1  # revision of the estimator in one slice, which is no metric
CASES = 1  # of the cases: raised by whoever changes what they draw or accept
LIBRARIES = "numpy", "scipy", "torch"
NAME = "certificate"


def certify(
    everything: Sequence[Case], out: Path, tick: Callable[[float, str], None] = lambda share, what: None
) -> list[CaseResult]:
    """Return a line for each case, in their order; compute those that out does not hold in this version.

    tick: is told the share of the work done, by the images it is about, and what is at work.
    """
    done, whole = 0.0, sum(cost(case) for case in everything)
    libraries = ", ".join(f"{library} {importlib.metadata.version(library)}" for library in LIBRARIES)
    known = {line.name: line for line in load(out) if (line.revision, line.cases) == version(line.estimator)}

    def told(case: Case, before: float, share: float) -> None:
        tick((before + cost(case) * share) / whole, case.name)

    for case in everything:
        if case.name not in known:
            line = judge(case, partial(told, case, done))
            revision, cases = version(case.estimator)
            known[case.name] = replace(line, revision=revision, cases=cases, libraries=libraries)
            lines = (asdict(known[c.name]) for c in everything if c.name in known)
            out.mkdir(parents=True, exist_ok=True)
            write_atomically(out / f"{NAME}.csv", formats.csv(lines))
        done += cost(case)
    stored = {line.name: line for line in load(out)}  # or a later call could write other last digits
    return [stored[case.name] for case in everything]


def version(estimator: str) -> tuple[int, int]:
    """Revisions of an estimator and of the cases: a line of others is computed anew."""
    return METRICS[estimator].revision if estimator in METRICS else KSG, CASES


def cost(case: Case) -> float:
    """About how long a case takes, in seconds of one core."""
    each = {"ksg": 1e-6, "smi-hist": 3e-5, "smi-noisy": 4e-5, "gauss-cca": 1e-4, "cka": 2e-5, "infonce": 3e-4}
    return case.draws * case.n * each.get(case.estimator, 3e-4)


def load(out: Path) -> list[CaseResult]:
    """Read what is there of an earlier call; BadInput where the file is something else."""
    path = out / f"{NAME}.csv"
    try:
        text = read(path)
    except FileNotFoundError:
        return []
    try:
        table = pd.read_csv(io.BytesIO(text), dtype={"code": str, "reason": str, "libraries": str})
        table = table.astype(object)
        table = table.where(table.notna(), None)
        lines = [{str(name): value for name, value in line.items()} for line in table.to_dict("records")]
        lines = [upgrade.certified(line) if "code" in line else line for line in lines]
        return [converted(line, CaseResult, f"line {number}") for number, line in enumerate(lines, start=2)]
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"{path} is no certificate: {error}; expected what mi-check wrote, or nothing"
        ) from None
