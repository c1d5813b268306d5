"""The verb `run`: from arguments to a Bench, a grid, rows and tables."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import platformdirs
import torch
from rich.console import Console

from bench import data, gallery, grid, masks
from bench.arguments import check_batches, check_offered, command, resolve, resolved
from bench.cell import Bench, Cell
from bench.core.files import sweep
from bench.core.types import Dataset
from bench.derive import derive
from bench.environment import environment
from bench.folders import check_writable, open_run
from bench.pool import Workers
from bench.precision import decided
from bench.progress import Progress
from bench.registry import Plugin
from bench.settings import Setting
from bench.workplace import place_of_work

RUNS = Path("results", "runs")


def run(args: argparse.Namespace) -> int:
    """Compute the grid; the rows are in OUT/rows, everything else in OUT is derived from them."""
    console = Console()
    asked = open_grid(args, console, partial(own_place, args.profile))
    outcome = asked.compute(asked.cells)
    methods, defenses = asked.plugins
    names = [m.name for m in methods], [d.name for d in defenses]
    derive(asked.out, console, {*asked.keys}, *names, redraw=False)
    if outcome.left:
        console.print(f"{outcome.left} cells are left for lack of time; the same command goes on")
    return 1 if outcome.failed else 0


def own_place(profile: str, dataset: Dataset) -> Path:
    """A run's folder where none was asked for."""
    return RUNS / f"{profile}-{dataset.name}"


@dataclass(frozen=True)
class Grid:
    """What was asked for, checked and opened; nothing is computed before compute()."""

    args: argparse.Namespace
    console: Console
    bench: Bench
    plugins: tuple[tuple[Plugin, ...], tuple[Plugin, ...]]  # methods, defenses
    cells: list[Cell]
    out: Path
    old: int  # rows that were there already
    start: Callable[..., Workers]  # see grid.run

    @property
    def keys(self) -> dict[str, Cell]:
        """The cells by the keys of their rows."""
        return {self.bench.identity(cell).key: cell for cell in self.cells}

    def compute(self, wanted: Sequence[Cell]) -> grid.Outcome:
        """Those of the cells that have no finished row; samples of all their poisons."""
        sweep(self.bench.cache)
        (self.out / "rows").mkdir(parents=True, exist_ok=True)
        masks.keep(self.bench.data, self.bench.setting, self.bench.setting.seed, self.out / "masks")
        self.console.print(headline(self.bench, self.old), markup=False, highlight=False, soft_wrap=True)
        gallery.keep_cached(self.bench, self.plugins[0])
        progress = Progress(self.console)
        outcome = grid.run(self.bench, wanted, self.out / "rows", progress, self.start, self.args.plugins)
        gallery.keep_cached(self.bench, self.plugins[0])  # of poisons that were crafted on other machines
        return outcome


def open_grid(
    args: argparse.Namespace,
    console: Console,
    place: Callable[[Dataset], Path],
    load: Callable[..., Dataset] = data.load,
) -> Grid:
    """Check everything and read the data. place: the folder where none was asked for."""
    setting, methods, defenses = resolve(args)
    cache = cache_of(args)
    check_batches(setting.victim, methods, setting.limit)
    check_offered(setting, setting.limit)
    for folder in (cache, args.out or RUNS):
        check_writable(folder)
    if args.out:
        open_run(args.out)
    where = place_of_work(args, cache, setting, methods, console)
    dataset = load(setting.data, root=args.data_root, limit=setting.limit, cache=cache)
    check_batches(setting.victim, methods, len(dataset.train))
    check_offered(setting, len(dataset.train))
    out: Path = args.out or place(dataset)
    old = open_run(out)
    methods = resolved(methods, dataset, console)
    check_writable(out / "rows")
    bench = open_bench(args, setting, dataset, where.device)
    bench = replace(
        bench,
        environment=where.environment or bench.environment,
        gallery=out / "gallery",
        keep_victims=args.keep_victims,
    )
    cells = grid.cells(bench, methods, defenses)
    return Grid(args, console, bench, (methods, defenses), cells, out, len(old), where.start)


def cache_of(args: argparse.Namespace) -> Path:
    return args.cache or Path(platformdirs.user_cache_dir("ue-bench"))


def open_bench(args: argparse.Namespace, setting: Setting, dataset: Dataset, device: torch.device) -> Bench:
    """What all cells of a run share, with the images on the device."""
    setting = replace(setting, precision=decided(setting.precision, device))
    return Bench(
        data=dataset.to(device),
        setting=setting,
        profile=args.profile,
        device=device,
        cache=cache_of(args),
        environment=environment(device),
        save_seconds=args.save_seconds,
        deadline=time.monotonic() + 60 * args.minutes if args.minutes is not None else None,
        command=command(args, setting.precision),
    )


def headline(bench: Bench, old: int) -> str:
    """What is about to be computed on, and with what."""
    data, setting = bench.data, bench.setting
    kind = "synthetic images" if data.synthetic else "images"
    return (
        f"{data.name}: {len(data.train)} training {kind}, {len(data.val)} for validation, "
        f"{len(data.test)} for testing; victim {setting.net}, surrogate {setting.surrogate}, "
        f"{setting.precision}, {bench.environment['device']}; {old} rows are there already"
    )
