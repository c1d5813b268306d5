"""Keeping samples of what a run's methods published, from the moment that a poison is there."""

from __future__ import annotations

from collections.abc import Iterable

from bench.experiment import cache
from bench.experiment.cell import Bench, poison_folder
from bench.experiment.registry import Plugin
from bench.results import samples

FIRST = 0  # the repetition that is shown


def keep(bench: Bench, method: Plugin, poison: cache.Poison) -> None:
    """A few images of a poison beside the run's rows, unless they are there."""
    if bench.gallery is None:
        return
    path = samples.path_of(bench.gallery, method.name, poison.manifest["published"])
    if samples.load(path) is None:
        chosen = samples.choose(bench.data.train.labels.cpu().numpy())
        clean = bench.data.train.images[chosen].cpu().numpy()
        samples.save(samples.take(clean, poison.images[chosen].numpy(), chosen), path)


def keep_cached(bench: Bench, methods: Iterable[Plugin]) -> None:
    """The same of each method's first poison that an earlier run crafted.

    A poison is read, and compared with its digest, only where its sample is missing.
    """
    for method in methods:
        folder = poison_folder(bench, method, FIRST)
        said = cache.manifest(folder)
        if bench.gallery is None or said is None:
            continue
        if samples.load(samples.path_of(bench.gallery, method.name, str(said.get("published")))) is None:
            poison = cache.load(folder)
            if poison is not None:
                keep(bench, method, poison)
