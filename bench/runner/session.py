"""A session: the workers, the images and the grid that a request asks for, opened and computed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.text import Text

from bench import data, nets
from bench.core.errors import BadInput
from bench.core.files import check_own, check_writable, sweep
from bench.core.texts import printable
from bench.core.types import Dataset
from bench.experiment.context import Cell, RunContext
from bench.experiment.device import decided, device_of, environment, set_up
from bench.experiment.fingerprint import Environment
from bench.experiment.partial import keep_mask
from bench.experiment.registry import Plugin
from bench.nets.body import Shape
from bench.results.rewrite import rewrite
from bench.results.rows import Row, open_run
from bench.runner import grid
from bench.runner.backends.local import Pool
from bench.runner.fitting import asks, fitted
from bench.runner.jobs import keep_samples
from bench.runner.memory import affordable, cores
from bench.runner.progress import Progress
from bench.runner.request import Machine, Resolved, RunRequest, resolve
from bench.runner.scheduler import Report, Workers

RUNS = Path("results", "runs")


@dataclass(frozen=True)
class Grid:
    """What was asked for, checked and opened; nothing is computed before compute()."""

    resolved: Resolved
    console: Console
    context: RunContext
    cells: list[Cell]
    out: Path
    old: int  # rows that were there already
    start: Callable[..., Workers]  # see grid.run

    @property
    def keys(self) -> dict[str, Cell]:
        """Give the cells by the keys of their rows."""
        return {self.context.identity(cell).key: cell for cell in self.cells}

    def compute(self, wanted: Sequence[Cell], tell: Callable[[Row], None] = lambda row: None) -> grid.Outcome:
        """Compute those of the cells that have no finished row, and tell them; samples of their poisons."""
        sweep(self.context.cache)
        rows = self.out / "rows"
        rows.mkdir(parents=True, exist_ok=True)
        rewrite(self.out)
        keep_mask(self.context.data, self.context.setting, self.out / "masks")
        say(self.console, self.headline)
        keep_samples(self.context, self.resolved.methods)
        plugins = self.resolved.request.where.plugins
        progress = Progress(self.console)
        outcome = grid.run(self.context, wanted, rows, progress, self.start, plugins, tell)
        keep_samples(self.context, self.resolved.methods)  # of poisons that other machines crafted
        return outcome

    @property
    def headline(self) -> str:
        """Say what is about to be computed on, and with what."""
        images, setting = self.context.data, self.context.setting
        kind = "synthetic images" if images.synthetic else "images"
        return (
            f"{images.name}: {len(images.train)} training {kind}, {len(images.val)} for validation, "
            f"{len(images.test)} for testing; victim {setting.net}, surrogate {setting.surrogate}, "
            f"{setting.precision}, {self.context.environment['device']}; {self.old} rows are there already"
        )


def say(console: Console, line: str) -> None:
    """Print a line as it is, however long."""
    console.print(Text(printable(line)), soft_wrap=True)


def open_grid(
    request: RunRequest, console: Console, place: Path | None = None, load: Callable[..., Dataset] = data.load
) -> Grid:
    """Check everything and read the images.

    place: begins the name of the folder where none is asked for; that of the data ends it.
    """
    resolved, where = resolve(request), request.where
    place = place or RUNS / request.profile
    resolved.check_images(resolved.setting.limit)
    for folder in (where.cache, where.out or place.parent):
        check_writable(folder)
    check_own(where.cache)
    if where.out:
        check_own(where.out)
        open_run(where.out)
    device, start, elsewhere = workers_of(resolved, console)
    dataset = read(resolved, load)
    for note in dataset.notes:
        say(console, note)
    resolved = fitted(resolved, dataset, lambda line: say(console, line))
    resolved.check_images(len(dataset.train))
    check_nets(resolved, dataset)
    out = where.out or place.parent / f"{place.name}-{dataset.name}"
    old = open_run(out)
    resolved = resolved.on(dataset, lambda line: say(console, line))
    check_own(out)
    check_writable(out / "rows")
    context = open_context(resolved, dataset, device, elsewhere, out / "gallery")
    cells = grid.cells(context, resolved.methods, resolved.defenses)
    return Grid(resolved, console, context, cells, out, len(old), start)


def read(resolved: Resolved, load: Callable[..., Dataset] = data.load) -> Dataset:
    """Load the images that a request names."""
    where, setting = resolved.request.where, resolved.setting
    reference = max((defense.value.reference for defense in resolved.defenses), default=0)
    more: dict[str, Any] = {"reference": reference, "imbalance": setting.imbalance}
    more |= {"reading": resolved.request.reading, "follow": not asks(resolved.request, "limit")}
    return load(setting.data, root=where.data_root, limit=setting.limit, cache=where.cache, **more)


def check_nets(resolved: Resolved, dataset: Dataset) -> None:
    """Raise BadInput where a net that the run needs cannot be made for its images."""
    needed = {resolved.setting.net} if resolved.defenses else set()
    if any("surrogate" in method.value.needs for method in resolved.methods):
        needed.add(resolved.setting.surrogate)
    _, channels, size, _ = dataset.train.images.shape
    for name in sorted(needed):
        nets.check(name, Shape(channels, size, len(dataset.classes)))


def open_context(
    resolved: Resolved,
    dataset: Dataset,
    device: torch.device,
    elsewhere: Environment | None = None,
    samples: Path | None = None,
) -> RunContext:
    """Gather what all cells of a run share, with the images on the device. elsewhere: of Dask's workers."""
    request, machine = resolved.request, resolved.request.machine
    setting = replace(resolved.setting, precision=decided(resolved.setting.precision, device))
    return RunContext(
        data=dataset.to(device),
        setting=setting,
        profile=request.profile,
        device=device,
        cache=request.where.cache,
        environment=elsewhere or environment(device),
        save_seconds=machine.save_seconds,
        deadline=None if machine.minutes is None else time.monotonic() + 60 * machine.minutes,
        command=request.command(setting.precision),
        gallery=samples,
        keep_victims=request.keep_victims,
    )


def workers_of(
    resolved: Resolved, console: Console
) -> tuple[torch.device, Callable[..., Workers], Environment | None]:
    """Give this process's device, what starts the workers (see grid.run), their environment if not ours.

    They are a scheduler's, or of this machine.
    """
    machine, where = resolved.request.machine, resolved.request.where
    tls = machine.tls
    if machine.scheduler is None:

        def start(work: Callable[..., Any], context: RunContext, report: Report) -> Workers:
            count = workers_to_start(machine, context, resolved.methods, console)
            return Pool(work, context, count, where.plugins, report)

        return open_device(machine), start, None
    if machine.workers is not None:
        raise BadInput(f"--workers {machine.workers} are processes here, expected none beside --scheduler")
    if resolved.setting.precision == "auto":
        raise BadInput("the precision is auto, which machines may decide differently; give --precision")
    try:
        from bench.runner.backends.dask import Cluster, check_workers
    except ModuleNotFoundError as error:
        raise BadInput(
            f"--scheduler needs {error.name}, expected after: pip install 'ue-bench[dask]'"
        ) from None
    device = open_device(replace(machine, device="cpu"))
    asked = machine.scheduler, tls
    found = check_workers(*asked, where.cache, where.plugins, machine.device, machine.threads)
    return device, partial(Cluster, found), found.environment


def open_device(machine: Machine) -> torch.device:
    """Find the device and set torch up for it; BadInput where there is none of that name."""
    device = device_of(machine.device)
    set_up(device, machine.threads)
    return device


def workers_to_start(
    machine: Machine, context: RunContext, methods: Sequence[Plugin], console: Console
) -> int:
    """Choose how many processes here compute; where no number is asked for, memory may allow fewer.

    On a CPU the default is one worker of one thread for each core: small nets gain little from
    threads, and a number that was computed with one thread does not depend on the cores. On GPUs it
    is one worker for each.
    """
    if context.device.type == "cpu":
        default = cores()
    else:
        default = torch.cuda.device_count() if context.device == torch.device("cuda") else 1
    workers = machine.workers or default
    fit, there = affordable(context, methods, workers)
    if there:
        wanted = f"{workers} workers were asked for"
        say(console, f"{there}: {wanted if machine.workers else f'{fit} of {workers} workers are started'}")
    return machine.workers or fit
