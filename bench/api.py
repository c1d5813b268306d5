"""The Python interface: the same objects and the same numbers as on the command line."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from rich.console import Console
from torch import Tensor

from bench.cli import config, options, places
from bench.cli.main import parsed
from bench.core.errors import BadInput
from bench.core.method import Lab, Method, Need
from bench.core.pixels import GRID, to_float
from bench.core.pixels import digest as seen
from bench.core.types import Dataset, Split
from bench.data.given import Given
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


def craft(
    images: Images,
    labels: ArrayLike | None = None,
    *,
    method: str,
    eps: float | None = None,
    profile: str = "quick",
    surrogate: str | None = None,
    seed: int = 0,
    settings: Sequence[str] = (),
    device: str = "auto",
) -> Published:
    """Protect images: every one of them is perturbed within the method's threat model.

    images: uint8 (N,H,W), (N,H,W,C) or (N,C,H,W), squares of one size, as array or tensor; or a data set of
    torchvision or Hugging Face, which has the labels as well. labels: (N,), whole numbers from 0. method: a
    name of `list`. eps: its L-inf budget, pixels in [0,1]. surrogate: its net. settings: as of --set, such as
    "tap.steps=100". Raises BadInput for what cannot be, ValueError where a method breaks its promise.
    """
    given = Given.of(images, labels)
    options = Options(surrogate=surrogate, eps=None if eps is None else repr(eps), seed=str(seed))
    resolved = _resolved(profile, method, None, options, settings, device)
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
    net: str | None = None,
    profile: str = "quick",
    seed: int = 0,
    settings: Sequence[str] = (),
    device: str = "auto",
) -> Row:
    """Train a victim on images as they are and measure it on test images; all that is measured is in the row.

    images, test: as of craft(). clean: the images before they were protected, in the same order; distances
    and MI are measured against these. One image in twenty, of the clean ones, is held out for the learning
    curve. defense, net: names of `list`. Raises BadInput and ValueError as craft().
    """
    given, held = Given.of(images, labels), Given.of(test, test_labels)
    before = given if clean is None else Given.of(clean, given.labels)
    if before.images.shape != given.images.shape:
        raise BadInput(
            f"clean images are {tuple(before.images.shape)}, "
            f"expected {tuple(given.images.shape)} as those that are published"
        )
    resolved = _resolved(profile, "all", defense, Options(net=net, seed=str(seed)), settings, device)
    resolved = replace(resolved, methods=())
    data = before.tested_on(held)
    assert data.rows is not None
    published = given.images[data.rows]
    changed = int((published.int() - before.images[data.rows].int()).abs().max())
    value = Protected(changed / GRID, seen(published), published)
    plugin = Plugin("methods", "given", value, "", control=not changed)
    with tempfile.TemporaryDirectory() as folder:
        context = _context(resolved, data, Path(folder))
        poison = cells.craft(context, plugin, 0)
        return cells.run_cell(context, Cell(plugin, resolved.defenses[0], 0, 0), poison)


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


@dataclass(frozen=True)
class Protected(Method):
    """Images that somebody has protected already: measured, not crafted."""

    digest: str = ""  # of the images
    published: Tensor = field(default_factory=lambda: torch.empty(0), compare=False, repr=False)

    revision: ClassVar[int] = 1
    needs: ClassVar[tuple[Need, ...]] = ()
    maps_images: ClassVar[bool] = True

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        return to_float(self.published.to(clean.images.device))


def _resolved(
    profile: str,
    method: str,
    defense: str | None,
    options: Options,
    settings: Sequence[str],
    device: str,
) -> Resolved:
    """Check what is asked for, as the command line does."""
    machine = Machine(device=device)
    return resolve(RunRequest(profile, method, defense, options, tuple(settings), machine=machine))


def _context(resolved: Resolved, data: Dataset, folder: Path) -> RunContext:
    """Open a context whose cache is thrown away."""
    device = open_device(resolved.request.machine)
    resolved.check_images(len(data.train))
    check_nets(resolved, data)
    request = replace(resolved.request, where=Where(cache=folder))
    return open_context(replace(resolved, request=request), data, device)
