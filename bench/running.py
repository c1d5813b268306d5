"""The verb `run`: from arguments to a Bench, a grid, rows and tables."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import platformdirs
import torch
from rich.console import Console

from bench import data, gallery, grid, masks, shares
from bench.cell import Bench, Cell, blank_row
from bench.core.errors import BadInput
from bench.core.types import Dataset, Recipe
from bench.derive import derive
from bench.environment import environment
from bench.facts import Environment
from bench.folders import check_writable, open_run
from bench.machine import device_of
from bench.memory import affordable
from bench.nets import NETS
from bench.override import change, unknown
from bench.pool import Pool, Report, Workers
from bench.precision import decided
from bench.progress import Progress
from bench.registry import KINDS, Plugin, catalog, check_plugins
from bench.rerun import PLACE, Command, portable
from bench.settings import PROFILES, Setting, check_eps

RUN_FIELDS = ("data", "limit", "net", "surrogate", "precision", "eps", "seed", "reps", "poison_reps", "share")
FLAGS = ("prepare_test", "drop_poisoned")
RUNS = Path("results", "runs")


def run(args: argparse.Namespace) -> int:
    """Compute the grid; the rows are in OUT/rows, everything else in OUT is derived from them."""
    console = Console()
    asked = open_grid(args, console, lambda dataset: RUNS / f"{args.profile}-{dataset.name}")
    outcome = asked.compute(asked.cells)
    methods, defenses = asked.plugins
    derive(asked.out, console, {*asked.keys}, [m.name for m in methods], [d.name for d in defenses])
    if outcome.left:
        console.print(f"{outcome.left} cells are left for lack of time; the same command goes on")
    return 1 if outcome.failed else 0


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
        return {blank_row(self.bench, cell).key: cell for cell in self.cells}

    def compute(self, wanted: Sequence[Cell]) -> grid.Outcome:
        """Those of the cells that have no finished row; samples of all their poisons."""
        (self.out / "rows").mkdir(parents=True, exist_ok=True)
        masks.keep(self.bench.data, self.bench.setting, self.bench.setting.seed, self.out / "masks")
        headline = _headline(self.bench, self.old)
        self.console.print(headline, markup=False, highlight=False, soft_wrap=True)
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
    """Fewer workers than cores where there is no memory for more; a number that was asked for stays."""
    fit, there = affordable(bench, methods, workers)
    asked = args.workers is not None
    if there:
        what = f"{workers} workers were asked for" if asked else f"{fit} of {workers} workers are started"
        console.print(f"{there}: {what}", markup=False, highlight=False, soft_wrap=True)
    return Pool(work, bench, workers if asked else fit, args.plugins, report)


def cache_of(args: argparse.Namespace) -> Path:
    return args.cache or Path(platformdirs.user_cache_dir("ue-bench"))


def resolved(methods: tuple[Plugin, ...], dataset: Dataset, console: Console) -> tuple[Plugin, ...]:
    """The methods with what they leave to the data decided; what they infer is said."""

    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False, soft_wrap=True)

    return tuple(replace(method, value=method.value.resolved(dataset, say)) for method in methods)


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
        command=_command(args, setting.precision),
    )


def resolve(args: argparse.Namespace) -> tuple[Setting, tuple[Plugin, ...], tuple[Plugin, ...]]:
    """Everything that was asked for, checked, before anything is read or written.

    A verb that trains no victims asks for no defenses: args.defenses is None.
    """
    if args.plugins:
        check_plugins(args.plugins)
    if args.profile not in PROFILES:
        raise unknown("profile", args.profile, PROFILES)
    setting = PROFILES[args.profile].setting
    for name in (*RUN_FIELDS, *FLAGS):
        if getattr(args, name) not in (None, False):
            setting = change(setting, name, getattr(args, name), "the setting")
    catalogs = {kind: catalog(kind, args.plugins) for kind in KINDS}
    asked = {kind: getattr(args, kind) for kind in KINDS}
    chosen = {kind: [] if asked[kind] is None else catalogs[kind].choose(asked[kind]) for kind in KINDS}
    if twice := {p.name for p in chosen[KINDS[0]]} & {p.name for p in chosen[KINDS[1]]}:
        raise BadInput(f"{', '.join(sorted(twice))} names a method and a defense, expected two names")
    plugins = {p.name: p.at(args.profile) for kind in KINDS for p in chosen[kind]}
    budgeted = [p.name for p in chosen[KINDS[0]] if p.value.eps > 0]
    if setting.eps is not None:
        for name in budgeted:
            plugins[name] = replace(plugins[name], value=replace(plugins[name].value, eps=setting.eps))
    for item in args.set:
        setting, plugins = _set(setting, plugins, item)
    shares.check(setting)
    for name in budgeted:
        check_eps(plugins[name].value.eps, name)
    for name in (setting.net, setting.surrogate):
        if name not in NETS:
            raise unknown("net", name, NETS)
    methods, defenses = (tuple(plugins[p.name] for p in chosen[kind]) for kind in KINDS)
    return setting, methods, defenses


def _set(setting: Setting, plugins: dict[str, Plugin], item: str) -> tuple[Setting, dict[str, Plugin]]:
    path, equals, value = item.partition("=")
    if not equals:
        raise BadInput(f"--set {item}: expected FIELD=VALUE")
    owner, _, rest = path.partition(".")
    if owner in plugins and not rest:
        raise BadInput(f"--set {item}: expected a field, {owner}.FIELD=VALUE")
    if owner in plugins:
        plugin = plugins[owner]
        return setting, plugins | {owner: replace(plugin, value=change(plugin.value, rest, value, owner))}
    if owner not in {f.name for f in fields(Setting)}:
        raise unknown("field or chosen plugin", owner, [*(f.name for f in fields(Setting)), *plugins])
    return change(setting, path, value, "the setting"), plugins


def _command(args: argparse.Namespace, precision: str) -> Command:
    """The options that move a number; folders are named by what they hold.

    precision: the one that is computed with; auto might be another one elsewhere.
    """
    options = ["--profile", args.profile]
    for name in RUN_FIELDS:
        value = precision if name == "precision" else getattr(args, name)
        if value is not None:
            options += [f"--{name.replace('_', '-')}", portable(value) if name == "data" else value]
    options += [f"--{name.replace('_', '-')}" for name in FLAGS if getattr(args, name)]
    options += ["--threads", str(args.threads)] if args.threads != 1 else []  # moves the last bits
    options += ["--plugins", PLACE] if args.plugins else []
    own, sets = {f.name for f in fields(Setting)}, []
    for item in args.set:
        path, _, value = item.partition("=")
        if path == "precision":
            continue
        owner = path.partition(".")[0]
        said = f"data={portable(value)}" if path == "data" else item
        sets.append(("" if owner in own else owner, said))
    return Command(tuple(options), tuple(sets))


def check_batches(victim: Recipe | None, methods: tuple[Plugin, ...], images: int | None) -> None:
    """Refuse recipes whose batch is more than the images, if their number is known."""
    if images is None:
        return
    recipes: dict[str, Any] = {"victim": victim}
    for method in methods:
        recipes |= {f"{method.name}.{f.name}": getattr(method.value, f.name) for f in fields(method.value)}
    for name, recipe in recipes.items():
        if isinstance(recipe, Recipe) and recipe.batch > images:
            raise BadInput(
                f"{images} training images are fewer than one batch of {name} ({recipe.batch}); "
                f"give more images or --set {name}.batch"
            )


def check_offered(setting: Setting, images: int | None) -> None:
    """Refuse a victim whose batch is more than the images that it learns from, if their number is known."""
    if images is not None and (left := shares.offered(setting, images)) < setting.victim.batch:
        raise BadInput(
            f"share {setting.share:g} leaves {left} of {images} training images clean, fewer than one batch "
            f"of victim ({setting.victim.batch}); give more images, a smaller --share or --set victim.batch"
        )


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
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)  # poisons drive losses to almost 0, and denormals are slow
    return device, workers


def _headline(bench: Bench, old: int) -> str:
    data, setting = bench.data, bench.setting
    kind = "synthetic images" if data.synthetic else "images"
    return (
        f"{data.name}: {len(data.train)} training {kind}, {len(data.val)} for validation, "
        f"{len(data.test)} for testing; victim {setting.net}, surrogate {setting.surrogate}, "
        f"{setting.precision}, {bench.environment['device']}; {old} rows are there already"
    )
