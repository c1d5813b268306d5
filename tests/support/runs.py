"""Runs in processes of their own, and what must not depend on how often they were stopped."""

from __future__ import annotations

import json
import multiprocessing as mp
import os
import sys
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import torch

from bench.cli.main import main
from support.processes import CHILDREN

SAVING = ("--save-seconds", "0")
HEAVY = [
    "bench.runner.session",
    "bench.report.figures.write",
    "kornia.augmentation",
    "kornia.augmentation.auto",
    "sklearn.metrics",
    "torchvision.models.resnet",
]
MAY_DIFFER = (  # columns that two runs of one cell may differ in: the key decides all others
    *("craft_seconds", "craft_peak_mb", "train_seconds", "train_peak_mb", "mi_seconds"),
    *("attempt", "finished", "rerun"),
)
Rows = dict[str, str]  # file -> all that the key decides


def rows_in(out: Path) -> Rows:
    """What must not depend on how often a run was stopped, byte for byte."""
    found = {}
    for path in sorted((out / "rows").glob("*.json")):
        values = json.loads(path.read_text(encoding="utf-8"))
        for part in ("environment", "craft_environment"):  # there may be a new one between two runs
            values[part].pop("commit", None)
        found[path.name] = json.dumps({k: v for k, v in values.items() if k not in MAY_DIFFER})
    return found


def run_child(argv: list[str], log: Path) -> None:
    """main() in a process of its own that has everything imported already."""
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    torch.set_num_threads(1)
    sys.exit(main(argv))


def start(argv: list[str], log: Path) -> ForkServerProcess:
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(HEAVY)
    child = context.Process(target=run_child, args=(argv, log))
    child.start()
    CHILDREN.append(child)
    return child


def end_of(child: ForkServerProcess) -> int | None:
    """Its exit code, within reason."""
    child.join(300)
    return child.exitcode


def fresh(images: Path, place: Path) -> Path:
    place.mkdir()
    (place / "quad").symlink_to(images / "quad")
    return place


def checkpoints(place: Path) -> set[str]:
    return {path.name for path in (place / "cache" / "checkpoints").glob("*") if path.suffix != ".tmp"}


def wait_for(happened: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, f"not within {seconds} s"
        time.sleep(0.02)
