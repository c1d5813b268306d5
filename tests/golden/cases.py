"""Every part of the suite that has a revision, the small run of it, and its numbers on disk."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from bench.data import glyphs
from bench.experiment import keys
from bench.experiment.device import set_up
from bench.experiment.fingerprint import LIBRARIES
from bench.experiment.registry import HOME, KINDS, Plugin, catalog
from bench.metrics import METRICS, Metric
from bench.nets import NETS
from bench.nets.body import Architecture
from golden import cells, data, metrics, nets, plugins
from golden.numbers import Numbers, Statistic, moved, surroundings

HERE = Path(__file__).parent
COMMAND = "PYTHONPATH=tests python -m golden"
SHOWN = 3  # statistics that a message names
# Parts of the harness -> the run of each, and what that rests on
HARNESS: dict[str, tuple[Callable[[], Numbers], tuple[str, ...]]] = {
    "training": (cells.training, ()),
    "crafting": (cells.crafting, ("training",)),
    "evaluation": (cells.evaluation, ("training",)),
    "mi": (cells.mi, ("training",)),
    "data": (data.data, ()),
}


@dataclass(frozen=True)
class Case:
    """One part of the suite, under the name that its files have."""

    name: str
    declared: Callable[[], int | None]  # its revision now
    owner: str  # where that stands
    run: Callable[[], Numbers]
    rests_on: tuple[str, ...] = ()  # cases whose behaviour is in its numbers, though they have own revisions

    @property
    def path(self) -> Path:
        """Of the numbers at today's revisions: em-r1.json, and em-r1+training-r2.json when training had 2."""
        named = [self.name, *self.rests_on]
        revisions = {name: cases()[name].declared() for name in named}
        below = [f"{name}-r{revisions[name]}" for name in self.rests_on if revisions[name] != 1]
        return HERE / f"{'+'.join([f'{self.name}-r{revisions[self.name]}', *below])}.json"

    def measure(self) -> Numbers:
        """Run it now, as a worker does: on one thread, without denormals."""
        threads = torch.get_num_threads()
        set_up(torch.device("cpu"), threads=1)
        try:
            with torch.random.fork_rng(devices=[]):
                return self.run()
        finally:
            torch.set_num_threads(threads)
            torch.set_flush_denormal(False)


@cache
def cases() -> dict[str, Case]:
    """All of them by name."""
    found: dict[str, Case] = {}
    for case in (*_harness(), *_plugins(), *_nets(), *_metrics()):
        assert case.name not in found, (
            f"two parts of the suite are called {case.name}: their files would be one"
        )
        found[case.name] = case
    return found


def _harness() -> Iterator[Case]:
    for name, (run, below) in HARNESS.items():
        owner = f'REVISIONS["{name}"] in {_place(keys.key_of)}'
        yield Case(name, partial(keys.REVISIONS.get, name), owner, run, below)
    yield Case("glyphs", lambda: glyphs.REVISION, f"REVISION in {_place(glyphs.render)}", data.glyphs)


def _plugins() -> Iterator[Case]:
    below = {"methods": ("training", "crafting"), "defenses": ("training",)}
    for kind in KINDS:
        found, run = catalog(kind), {"methods": plugins.method, "defenses": plugins.defense}[kind]
        for name in (*found.variants, *map(plugins.example, found.patterns)):
            plugin = found.get(name)
            owner = f"{type(plugin.value).__name__}.revision in {_place(type(plugin.value))}"
            yield Case(name, partial(_revision, plugin), owner, partial(run, plugin), below[kind])


def _revision(declared: Plugin | Architecture | Metric) -> int | None:
    return declared.revision


def _nets() -> Iterator[Case]:
    for name, architecture in NETS.items():
        made: Any = architecture.body
        while isinstance(made, partial):
            made = made.func
        owner = f'NETS["{name}"].revision in {_place(made)}'
        yield Case(name, partial(_revision, architecture), owner, partial(nets.net, name))


def _metrics() -> Iterator[Case]:
    for name, metric in METRICS.items():
        owner = f'METRICS["{name}"].revision in {_place(Metric)}'
        yield Case(name, partial(_revision, metric), owner, partial(metrics.metric, name))


def _place(thing: Any) -> str:
    """The file of a class or function, as one looks for it."""
    path = Path(inspect.getfile(thing))
    return path.relative_to(HOME).as_posix() if path.is_relative_to(HOME) else path.name


# numbers on disk


def stored(path: Path) -> tuple[dict[str, Statistic], dict[str, Any]]:
    """A golden's statistics, and the rest of it."""
    said = json.loads(path.read_text(encoding="utf-8"))
    return {name: Statistic(*values) for name, values in said.pop("statistics").items()}, said


def write(case: Case, numbers: Numbers) -> Path:
    """Keep the numbers of a run as those of today's revisions; FileExistsError where there are some."""
    said = {
        "name": case.name,
        "revision": case.declared(),
        "rests_on": {name: cases()[name].declared() for name in case.rests_on},
        "digest": numbers.digest,
        "environment": surroundings(),
    }
    lines = ",\n".join(
        f"  {json.dumps(name)}: {json.dumps(one.rounded(), allow_nan=False)}"
        for name, one in numbers.statistics.items()
    )
    head = json.dumps(said, indent=1).removesuffix("\n}")
    with case.path.open("x", encoding="utf-8") as file:
        file.write(head + ',\n "statistics": {\n' + lines + "\n }\n}\n")
    return case.path


def complaint(case: Case) -> str | None:
    """What is wrong with a part of the suite, and what to do about it; None where it behaves as recorded."""
    revision, path = case.declared(), case.path
    if revision is None or not path.exists():
        return f"{case.name}: revision {revision} has no golden numbers, record them: {COMMAND} {case.name}"
    statistics, said = stored(path)
    numbers = case.measure()
    words = moved(statistics, numbers.statistics)
    if not words and numbers.digest != said["digest"] and surroundings() == said["environment"]:
        words = ["no statistic left its tolerance, but bits differ where they were recorded"]
    if not words:
        return None
    seen = "; ".join(words[:SHOWN]) + (f"; and {len(words) - SHOWN} more" if len(words) > SHOWN else "")
    if below := [name for name in case.rests_on if complaint(cases()[name])]:
        mend = f"{' and '.join(below)} moved too, on which it rests: settle that first, then look again"
    else:
        mend = (
            f"raise {case.owner} to {revision + 1} and record new golden numbers ({COMMAND} {case.name}), "
            "or restore the behaviour"
        )
    return f"{case.name}: {seen}{_elsewhere(said['environment'])}: {mend}"


def _elsewhere(environment: Mapping[str, str | int]) -> str:
    """Which libraries had other versions, which may be why."""
    now = surroundings()
    others = [name for name in LIBRARIES if environment.get(name) != now[name]]
    said = (f"{name} {environment.get(name)} and not {now[name]}" for name in others)
    return f" (recorded with {', '.join(said)})" if others else ""


def revisions_of(path: Path) -> Mapping[str, int]:
    """All revisions that a golden claims, by name."""
    _, said = stored(path)
    return {said["name"]: said["revision"], **said["rests_on"]}
