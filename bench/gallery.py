"""Keeping samples of what a run's methods published, from the moment that a poison is there."""

from __future__ import annotations

from collections.abc import Iterable

from bench import samples, store
from bench.cell import Bench, poison_folder
from bench.registry import Plugin

FIRST = 0  # the repetition that is shown


def keep(bench: Bench, method: Plugin, poison: store.Poison) -> None:
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
        said = store.manifest(folder)
        if bench.gallery is None or said is None:
            continue
        if samples.load(samples.path_of(bench.gallery, method.name, str(said.get("published")))) is None:
            poison = store.load(folder)
            if poison is not None:
                keep(bench, method, poison)
