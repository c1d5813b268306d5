"""The MI estimators against known truth: writes certificate.{csv,md,png,svg}."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.cli.places import place

OUT = Path("results", "mi")
SMALL_OUT = Path("results", "runs", "mi-small")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=place, metavar="DIR", help=f"default: {OUT}, or {SMALL_OUT} with --small; it resumes"
    )
    parser.add_argument(
        "--small", action="store_true", help="few and small cases: seconds, where all take minutes"
    )
    parser.epilog = "Exit codes: 0 every case as accepted, 1 some case is not, 2 bad input."


def main(args: argparse.Namespace) -> int:
    import torch
    from rich.console import Console

    from bench.core.files import check_writable
    from bench.runner.progress import Progress
    from bench.studies.certificate.cases import FULL, SMALL, cases
    from bench.studies.certificate.run import certify, load
    from bench.studies.certificate.write import complaints, summary, write

    torch.set_num_threads(1)
    out = args.out or (SMALL_OUT if args.small else OUT)
    check_writable(out)
    load(out)  # refused before the work, not after it
    everything = cases(SMALL if args.small else FULL)
    console = Console()
    with Progress(console).alone(f"{len(everything)} cases") as tick:
        lines = certify(everything, out, tick)
    written = write(lines, out)
    for text in (*complaints(lines), summary(lines), f"written: {', '.join(map(str, written))}"):
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    return int(any(line.verdict == "FAILED" for line in lines))
