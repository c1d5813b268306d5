"""Record golden numbers: those of the names given, or all that have none at today's revisions.

PYTHONPATH=tests python -m golden [NAME ...], from the folder of the repository. Never overwrites.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from golden.cases import Case, cases, complaint, write


def main(names: Sequence[str]) -> int:
    """0 where all that was asked for is recorded now; 1 where something is not, which is said."""
    if unknown := [name for name in names if name not in cases()]:
        print(f"unknown: {', '.join(unknown)}; there are: {', '.join(cases())}", file=sys.stderr)
        return 2
    return max([_record(cases()[name]) for name in names or cases()], default=0)


def _record(case: Case) -> int:
    revision, path = case.declared(), case.path
    if revision is None:
        print(f"{case.name} declares no revision, so it is a draft: its code tells its results apart")
        return 1
    if path.exists():
        if complaint(case) is None:
            print(f"{case.name}: {path.name} is recorded, and holds")
            return 0
        print(f"revision {revision} of {case.name} is recorded and its numbers moved: raise the revision")
        print(f"  {complaint(case)}")
        return 1
    for name in case.rests_on:
        if said := complaint(cases()[name]):
            print(f"{case.name} rests on {name}, which is to be settled first: {said}")
            return 1
    print(f"{case.name}: recorded {write(case, case.measure()).name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
