"""Thousands of damaged images, damaged poisons and mistaken command lines, and what became of them.

From the repository's folder, minutes; the tests draw some of each:

    export PYTHONPATH=.:tests
    python -m cases --images 2750 --poisons 300 --lines 500 --out results/performance/cases.md
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import PIL

from bench.core.files import write_atomically
from support import cases, lines

Case = Callable[[], str]


@dataclass
class Tally:
    """What became of the cases of a kind."""

    what: str
    ends: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0  # seconds

    def count(self, name: str, case: Case) -> None:
        began = time.monotonic()
        try:
            self.ends[case()] += 1
        except (Exception, cases.Hang) as error:
            self.faults.append(f"{name}: {type(error).__name__}: {error}")
        self.slowest = max(self.slowest, time.monotonic() - began)

    def __str__(self) -> str:
        ends = ", ".join(f"{count} {end}" for end, count in sorted(self.ends.items()))
        number = self.ends.total() + len(self.faults)
        return f"| {self.what} | {number} | {ends} | {len(self.faults)} | {self.slowest:.1f} |"


def of_images(number: int, seed: int) -> Tally:
    known = cases.pictures()
    tally = Tally(f"damaged images, of {len(known)} formats ({', '.join(known)})")
    for n in range(number):
        kind = [*known][n % len(known)]
        draw = np.random.default_rng([seed, 1, n])
        tally.count(f"image {n}, {kind}", lambda k=kind, d=draw: cases.picture_case(k, known[k], d))  # type: ignore[misc]
    return tally


def of_poisons(number: int, seed: int) -> Tally:
    tally = Tally(f"damaged poisons, of {len(cases.POISONS)} formats ({', '.join(cases.POISONS)})")
    for n in range(number):
        kind = [*cases.POISONS][n % len(cases.POISONS)]
        draw = np.random.default_rng([seed, 2, n])
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            tally.count(f"poison {n}, {kind}", lambda k=kind, p=place, d=draw: cases.poison_case(k, p, d))  # type: ignore[misc]
    return tally


def of_lines(number: int, seed: int) -> Tally:
    tally = Tally(f"command lines, of {1 + len(lines.OTHERS)} commands")
    with tempfile.TemporaryDirectory() as folder, _inside(Path(folder)):
        lines.workplace(Path())
        for n in range(number):
            argv, right = lines.drawn(np.random.default_rng([seed, 3, n]))
            said = " ".join(part if len(part) < 40 else f"{part[:37]}..." for part in argv)
            tally.count(f"line {n}, {said}", lambda a=argv, r=right: lines.line_case(a, r))  # type: ignore[misc]
    return tally


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


ASKED = f"""\
Asked for is a refusal in one line that names file or option, or the right result. A fault is a traceback,
what takes over {cases.HANG} s, or a number from what is wrong, or damaged where the format has check sums.

| what | drawn | became of them | faults | slowest, s |
| :-- | --: | :-- | --: | --: |"""


def summary(tallies: list[Tally], command: str) -> str:
    said = f"Written by `{command}` (Python {sys.version.split()[0]}, Pillow {PIL.__version__})."
    head = "# Cases: damaged files and mistaken command lines"
    return "\n".join([head, "", said, ASKED, *map(str, tallies), ""])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=0)
    parser.add_argument("--poisons", type=int, default=0)
    parser.add_argument("--lines", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    wanted = ((of_images, args.images), (of_poisons, args.poisons), (of_lines, args.lines))
    tallies = [draw(number, args.seed) for draw, number in wanted if number]
    text = summary(tallies, " ".join(["PYTHONPATH=.:tests python -m cases", *sys.argv[1:]]))
    print(text, *(fault for tally in tallies for fault in tally.faults), sep="\n")
    if args.out:
        write_atomically(args.out, text)
    return int(any(tally.faults for tally in tallies))


if __name__ == "__main__":
    sys.exit(main())
