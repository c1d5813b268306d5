"""Compute the certificate, keeping every finished case in certificate.csv: it goes on where it stopped."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path

import pandas as pd

import bench
from bench import formats
from bench.certificate.case import Case, Line, judge
from bench.core.errors import BadInput
from bench.core.files import write_atomically

COMPUTED_BY = "mi", "certificate"  # folders of bench
LIBRARIES = "numpy", "scipy", "torch"
NAME = "certificate"


def code() -> str:
    """A digest of all that can move a figure: the estimators, the cases, and the libraries below."""
    root, digest = Path(bench.__file__).parent, hashlib.sha256()
    for path in sorted(path for folder in COMPUTED_BY for path in (root / folder).glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    for library in LIBRARIES:
        digest.update(f"{library} {importlib.metadata.version(library)}".encode())
    return digest.hexdigest()[:12]


def certify(
    everything: Sequence[Case],
    out: Path,
    tick: Callable[[float, str], None] = lambda share, what: None,
) -> list[Line]:
    """A line for each case, in their order; only those that out does not hold yet are computed.

    tick: is told the share of the work done, by the images it is about, and what is at work.
    """
    by, done, whole = code(), 0.0, sum(cost(case) for case in everything)
    known = {line.name: line for line in load(out) if line.code == by}
    for case in everything:
        if case.name not in known:
            known[case.name] = judge(case, by, partial(_tell, tick, done / whole, cost(case) / whole, case))
            _save([known[c.name] for c in everything if c.name in known], out)
        done += cost(case)
    stored = {line.name: line for line in load(out)}  # or a later call could write other last digits
    return [stored[case.name] for case in everything]


def _tell(tick: Callable[[float, str], None], before: float, own: float, case: Case, share: float) -> None:
    tick(before + own * share, case.name)


def cost(case: Case) -> float:
    """About how long a case takes, in seconds of one core."""
    each = {"ksg": 1e-6, "smi-hist": 3e-5, "gauss-cca": 1e-4, "cka": 2e-5, "infonce": 3e-4}
    return case.draws * case.n * each.get(case.estimator, 3e-4)


def load(out: Path) -> list[Line]:
    """What is there of an earlier call; BadInput where the file is something else."""
    path = out / f"{NAME}.csv"
    if not path.exists():
        return []
    try:
        table = pd.read_csv(path, dtype={"code": str, "reason": str}).astype(object)
        table = table.where(table.notna(), None)
        rows = table[[f.name for f in fields(Line)]].to_dict("records")
        return [Line(**{str(name): value for name, value in row.items()}) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"{path} is no certificate: {error}; expected what mi-check wrote, or nothing"
        ) from None


def _save(lines: Sequence[Line], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / f"{NAME}.csv", formats.csv(map(asdict, lines)))
