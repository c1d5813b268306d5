"""Which entry of a foreign poison belongs to which training image of a run."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.core.errors import BadInput
from bench.core.method import Form
from bench.core.types import Dataset
from bench.data.poisons.manifest import Manifest


def entries(
    count: int, data: Dataset, form: Form, kind: str, made: Manifest | None, who: str
) -> tuple[Form, Tensor]:
    """Find the form, and for each training image the number of its entry, int64 (N,).

    count: entries in the file. made: the manifest beside it.
    """
    n, pool = len(data.train), data.pool or len(data.train)
    rows = torch.arange(n) if data.rows is None else data.rows
    if made is not None and made.data.digest != data.digest:
        return "sample-wise", _by_row(made, data, rows, pool, who)
    fits: list[tuple[Form, int, Tensor, str]] = [
        ("sample-wise", n, torch.arange(n), "the run's training images, in their order"),
        ("sample-wise", pool, rows, f"all training images of {data.name}"),
    ]
    if kind == "delta":
        fits.append(("class-wise", len(data.classes), data.train.labels, "one a class"))
        fits.append(("universal", 1, torch.zeros(n, dtype=torch.int64), "one for all images"))
    possible = [fit for fit in fits if form in (fit[0], "infer")]
    found = {fit[0]: fit for fit in reversed(possible) if fit[1] == count}
    if not found:
        sizes = {size: what for _, size, _, what in possible}
        expected = "; or ".join(f"{size} ({what})" for size, what in sizes.items())
        raise BadInput(f"{who}: there are {count} entries, expected {expected or f'images to be {form}'}")
    if len(found) > 1:
        able = " or ".join(found)
        raise BadInput(f"{who}: {count} entries could be {able}; state it with --set {who}.form=FORM")
    ((chosen, (_, _, index, _)),) = found.items()
    return chosen, index


def _by_row(made: Manifest, data: Dataset, rows: Tensor, pool: int, who: str) -> Tensor:
    """Entries of an export that was made for another choice of the same training images.

    Each limit holds out its own validation images, which are never published: even an export of a larger
    choice may lack some of a smaller one, and a victim must not learn from images that nobody perturbed.
    """
    place = {row: entry for entry, row in enumerate(made.rows)}
    absent = [row for row in rows.tolist() if row not in place]
    if made.pool != pool or (absent and made.data.limit == data.limit):
        raise BadInput(
            f"{who}: it was made for {len(made.rows)} of the {made.pool} training images of "
            f"{made.data.name}, which are not the {pool} of {data.name}; expected the same data"
        )
    if absent:
        theirs, ours = ("none" if limit is None else limit for limit in (made.data.limit, data.limit))
        raise BadInput(
            f"{who}: {len(absent)} of the run's {len(rows)} training images are not in it: it has the "
            f"{len(made.rows)} of --limit {theirs}, which holds out other images for validation; "
            f"run with --limit {theirs}, or export again with --limit {ours}"
        )
    return torch.tensor([place[row] for row in rows.tolist()])
