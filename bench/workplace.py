"""Where pieces are computed: workers of this machine, or of a scheduler."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from bench.cell import Bench
from bench.core.errors import BadInput
from bench.facts import Environment
from bench.machine import device_of, set_up
from bench.memory import affordable
from bench.pool import Pool, Report, Workers
from bench.registry import Plugin
from bench.settings import Setting


@dataclass(frozen=True)
class PlaceOfWork:
    """Where pieces run, and how their workers are started (see grid.run)."""

    start: Callable[..., Workers]
    device: torch.device  # of this process
    environment: Environment | None = None  # of workers elsewhere


def place_of_work(
    args: argparse.Namespace,
    cache: Path,
    setting: Setting,
    methods: tuple[Plugin, ...],
    console: Console,
) -> PlaceOfWork:
    """The workers that were asked for: of a scheduler, or of this machine."""
    if args.scheduler is None:
        device, workers = device_and_workers(args)
        return PlaceOfWork(partial(_local, args, methods, workers, console), device)
    if args.workers is not None:
        raise BadInput(f"--workers {args.workers} are processes here, expected none beside --scheduler")
    if setting.precision == "auto":
        raise BadInput("the precision is auto, which machines may decide differently; give --precision")
    try:
        from bench.distributed import Cluster
        from bench.muster import muster
    except ModuleNotFoundError as error:
        raise BadInput(
            f"--scheduler needs {error.name}, expected after: pip install 'ue-bench[dask]'"
        ) from None
    device, _ = device_and_workers(argparse.Namespace(**vars(args) | {"device": "cpu"}))
    found = muster(args.scheduler, cache, args.plugins, args.device, args.threads)
    return PlaceOfWork(partial(Cluster, found), device, found.environment)


def _local(
    args: argparse.Namespace,
    methods: tuple[Plugin, ...],
    workers: int,
    console: Console,
    work: Callable[..., Any],
    bench: Bench,
    report: Report,
) -> Workers:
    return Pool(work, bench, started(args, bench, methods, workers, console), args.plugins, report)


def started(
    args: argparse.Namespace, bench: Bench, methods: tuple[Plugin, ...], workers: int, console: Console
) -> int:
    """Fewer workers than cores where there is no memory for more; a number that was asked for stays."""
    fit, there = affordable(bench, methods, workers)
    asked = args.workers is not None
    if there:
        what = f"{workers} workers were asked for" if asked else f"{fit} of {workers} workers are started"
        console.print(f"{there}: {what}", markup=False, highlight=False, soft_wrap=True)
    return workers if asked else fit


def device_and_workers(args: argparse.Namespace) -> tuple[torch.device, int]:
    """The device and the number of worker processes, and torch set up for them.

    On a CPU the default is one worker of one thread for each core: small nets gain little from
    threads, and a number that was computed with one thread does not depend on the cores. On GPUs it
    is one worker for each.
    """
    device = device_of(args.device)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gpus = torch.cuda.device_count() if device == torch.device("cuda") else 1
    default = cores if device.type == "cpu" else gpus
    workers = default if args.workers is None else args.workers
    for what, value in (("--workers", workers), ("--threads", args.threads)):
        if value < 1:
            raise BadInput(f"{what} is {value}, expected 1 or more")
    for what, number in (("--minutes", args.minutes), ("--save-seconds", args.save_seconds)):
        if number is not None and not 0 <= number < float("inf"):
            raise BadInput(f"{what} is {number}, expected 0 or more")
    set_up(device, args.threads)
    return device, workers
