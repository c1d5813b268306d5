"""The Python interface: the same objects and the same numbers as on the command line."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from rich.console import Console

from bench.cli import config, options, places
from bench.cli.main import parsed
from bench.core.errors import BadInput
from bench.core.files import expanded
from bench.core.pixels import GRID
from bench.core.pixels import digest as seen
from bench.core.types import Dataset
from bench.data.given import Given, has_labels
from bench.data.poisons.in_memory import Protected, Purified
from bench.experiment import cell as cells
from bench.experiment.context import Cell, RunContext
from bench.experiment.registry import Plugin
from bench.report.write import record
from bench.results.rows import Row, load_all
from bench.runner.request import Machine, Options, Resolved, RunRequest, Where, resolve
from bench.runner.session import check_nets, open_context, open_device, open_grid

# uint8 (N,H,W), (N,H,W,C) or (N,C,H,W), array or tensor; or a data set of torchvision or Hugging Face
Images = Any


@dataclass(frozen=True)
class Published:
    """What a method made of images, and what is known of it."""

    images: NDArray[np.uint8]  # in the shape and order that they were given in
    manifest: dict[str, Any]  # method, seeds, measured distances


def craft(  # noqa: PLR0913 (keywords, all but one of them optional)
    images: Images,
    labels: ArrayLike | None = None,
    *,
    method: str,
    eps: float | None = None,
    profile: str = "quick",
    surrogate: str | None = None,
    seed: int = 0,
    settings: Sequence[str] = (),
    plugins: Path | str | None = None,
    device: str = "auto",
) -> Published:
    """Protect images: every one of them is perturbed within the method's threat model.

    images: uint8 (N,H,W), (N,H,W,C) or (N,C,H,W), squares of one size, as array or tensor; or a data set of
    torchvision or Hugging Face, which has the labels as well. labels: (N,), whole numbers from 0. method: a
    name of `list`. eps: its L-inf budget, pixels in [0,1]. surrogate: its net. settings: as of --set, such as
    "tap.steps=100". plugins: a folder with methods/ or defenses/ of your own. Raises BadInput for what cannot
    be, ValueError where a method breaks its promise.
    """
    given = Given.of(images, labels)
    options = Options(surrogate=surrogate, eps=None if eps is None else repr(eps), seed=str(seed))
    resolved = _resolved(profile, method, None, options, settings, device, plugins)
    data = given.whole()
    with tempfile.TemporaryDirectory() as folder:
        context = _context(resolved, data, Path(folder))
        (plugin,) = resolved.on(data, lambda line: None).methods
        poison = cells.craft(context, plugin, 0)
        return Published(given.back(poison.images.clone()), poison.manifest)


def evaluate(  # noqa: PLR0913 (keywords, all but two of them optional)
    images: Images,
    labels: ArrayLike | None = None,
    *,
    test: Images,
    test_labels: ArrayLike | None = None,
    clean: Images | None = None,
    defense: str = "none",
    purified: Images | None = None,
    net: str | None = None,
    profile: str = "quick",
    seed: int = 0,
    settings: Sequence[str] = (),
    plugins: Path | str | None = None,
    device: str = "auto",
) -> Row:
    """Train a victim on images as they are and measure it on test images; all that is measured is in the row.

    images, test, plugins: as of craft(). clean: the images before they were protected, in the same order;
    distances and MI are measured against these. One image in twenty, of the clean ones, is held out for the
    learning curve. defense, net: names of `list`. purified: in the place of a defense, what somebody's
    purifier made of the images, in the same order. Raises BadInput and ValueError as craft().
    """
    given, held = Given.of(images, labels), _given("test", test, test_labels)
    before = given if clean is None else _beside(given, clean, "clean images")
    if purified is not None and defense != "none":
        raise BadInput(f"defense is {defense!r} beside purified images, which are one, expected one of both")
    options = Options(net=net, seed=str(seed))
    resolved = replace(_resolved(profile, "all", defense, options, settings, device, plugins), methods=())
    if beside := resolved.defenses[0].value.reference:
        raise BadInput(
            f"defense {defense} uses {beside} clean images beside these, expected one without; run() has them"
        )
    data = before.tested_on(held)
    assert data.rows is not None
    published = given.images[data.rows]
    changed = int((published.int() - before.images[data.rows].int()).abs().max())
    plugin = _plugin("methods", "given", Protected(changed / GRID, seen(published), published), not changed)
    chosen = resolved.defenses[0]
    if purified is not None:
        shown = _beside(given, purified, "purified images").images[data.rows]
        chosen = _plugin("defenses", "purified", Purified(seen(shown), seen(published), shown))
    with tempfile.TemporaryDirectory() as folder:
        context = _context(resolved, data, Path(folder))
        poison = cells.craft(context, plugin, 0)
        return cells.run_cell(context, Cell(plugin, chosen, 0, 0), poison)


def run(settings: Mapping[str, Any] | Path | str) -> pd.DataFrame:
    """Compute a grid and return its rows, as `python -m bench run` does with the same settings.

    settings: options of `run` by their names, such as {"methods": "em,tap", "out": "results/mine", "set":
    {"em.steps": 5}}; or a YAML file of them, as --print-config writes it. Rows are stored in OUT/rows as they
    are finished, and found again. Raises BadInput.
    """
    given = config.read(Path(settings)) if isinstance(settings, Path | str) else settings
    plain = parsed(["run"])
    args = plain.own.parse_args(config.arguments(given, plain.own))
    places.check(args, plain.own)
    grid = open_grid(options.checked(args), Console(quiet=True))
    grid.compute(grid.cells)
    return pd.DataFrame([record(row) for row in load_all(grid.out / "rows") if row.key in grid.keys])


def load_rows(folder: Path | str) -> pd.DataFrame:
    """Load stored rows of any age, a line each, with the columns of rows.csv.

    folder: OUT of a run, or OUT/rows. Raises BadInput where there are none.
    """
    place = Path(folder)
    place = place / "rows" if (place / "rows").is_dir() else place
    if not place.is_dir():
        raise BadInput(f"{folder} has no rows, expected the folder of a run")
    return pd.DataFrame(map(record, load_all(place)))


def _given(what: str, images: Images, labels: ArrayLike | None) -> Given:
    """Read further images; BadInput names them."""
    try:
        return Given.of(images, labels)
    except BadInput as error:
        raise BadInput(f"{what}: {error}") from None


def _beside(given: Given, images: Images, what: str) -> Given:
    """Read the same images in another state; BadInput where they cannot be the same."""
    found = _given(what, images, None if has_labels(images) else given.labels)
    if found.images.shape != given.images.shape or not found.labels.equal(given.labels):
        raise BadInput(
            f"{what} are {tuple(found.images.shape)}, expected {tuple(given.images.shape)} with the "
            "same labels, as those that are published"
        )
    return found


def _plugin(kind: str, name: str, value: Any, control: bool = False) -> Plugin:
    return Plugin(kind, name, value, "", control=control)


def _resolved(
    profile: str,
    method: str,
    defense: str | None,
    options: Options,
    settings: Sequence[str],
    device: str,
    plugins: Path | str | None,
) -> Resolved:
    """Check what is asked for, as the command line does."""
    where = Where(plugins=None if plugins is None else expanded(str(plugins)))
    sets, machine = tuple(settings), Machine(device=device)
    return resolve(RunRequest(profile, method, defense, options, sets, where=where, machine=machine))


def _context(resolved: Resolved, data: Dataset, folder: Path) -> RunContext:
    """Open a context whose cache is thrown away."""
    device = open_device(resolved.request.machine)
    resolved.check_images(len(data.train))
    check_nets(resolved, data)
    request = resolved.request
    request = replace(request, where=replace(request.where, cache=folder))
    return open_context(replace(resolved, request=request), data, device)
