"""The whole of the first command, again with everything there, and --help."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.figures import Figures, timed

TINY = (
    "--limit",
    "200",
    "--methods",
    "clean,random",
    "--defenses",
    "none",
    "--set",
    "victim.epochs=1",
    "--workers",
    "1",
    "--no-report",
)


def bench(*asked: str) -> None:
    subprocess.run([sys.executable, "-m", "bench", *asked], check=True, capture_output=True)


def test_quick(figures: Figures, tmp_path: Path) -> None:
    what = ("--methods", "all", "--defenses", "all") if figures.full else TINY
    asked = ("run", *what, "--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "out"))
    figures.add("quick, all methods and defenses", timed(lambda: bench(*asked)), "s", "<= 360")
    figures.add("the same again, every row there", figures.seconds(lambda: bench(*asked)), "s", "<= 5")


def test_help(figures: Figures) -> None:
    figures.add("--help", figures.seconds(lambda: bench("--help"), rounds=7), "s", "<= 0.3")
