"""What a net makes of the clean and the published images, and the dependence between both."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bench.core.pgd import frozen
from bench.core.pixels import to_float
from bench.core.rng import generator, seed_for
from bench.core.types import Dataset, Split
from bench.experiment.settings import Setting
from bench.metrics import Subject
from bench.metrics.mi.sliced import ESTIMATOR
from bench.metrics.mi.smi_ksg import smi_ksg
from bench.nets import Net

BATCH = 500


def subject(data: Dataset, setting: Setting, net: Net, published: Split) -> Subject:
    """The training images that MI is measured on, the same for all nets and poisons of a data set.

    published: the poison of data.train, on the same device.
    """
    order = torch.randperm(len(data.train), generator=generator(seed_for(0, "mi", data.digest)))
    rows = order[: setting.mi.images].to(data.train.labels.device)
    clean, changed = data.train.images[rows], published.images[rows]
    return Subject(
        clean=clean.cpu(),
        published=changed.cpu(),
        labels=published.labels[rows].cpu(),
        classes=len(data.classes),
        clean_features=features(net, clean),
        published_features=features(net, changed),
        seed=seed_for(setting.seed, "mi"),
    )


@torch.inference_mode()
def features(net: Net, images: Tensor) -> Tensor:
    """uint8 (N,C,H,W) -> float32 (N,D) on the CPU; the net in eval mode, left as it was."""
    judge = frozen(net)
    return torch.cat([judge.features(to_float(part)).cpu() for part in images.split(BATCH)])


def mi_columns(data: Dataset, setting: Setting, net: Net, published: Split) -> dict[str, Any]:
    """The row's MI columns: of the victim's own features, by the default estimator; a number or why none."""
    seen = subject(data, setting, net, published)
    clean, changed = seen.clean_features.numpy(), seen.published_features.numpy()
    try:
        found = smi_ksg(clean, changed, seen.seed, setting.mi)
    except ValueError as error:
        return {"mi_estimator": ESTIMATOR, "mi_reason": str(error)}
    return {
        "mi": found.value,
        "mi_null": found.null,
        "mi_low": found.low,
        "mi_high": found.high,
        "mi_estimator": found.estimator,
        "mi_images": found.n,
        "mi_rank": found.rank,
        "mi_slices": setting.mi.slices,
        "mi_reason": str(found) if found.value is None else None,
    }
