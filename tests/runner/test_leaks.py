"""What protect says of someone who knows some of the images as they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench.core.types import Split
from bench.experiment.context import RunContext
from bench.experiment.registry import Plugin, catalog
from bench.experiment.settings import Setting
from bench.runner.leaks import Leak, leak
from support.toys import noise, toy_dataset

DEFENSES = [*catalog("defenses").variants.values()]


def measured(folder: Path, delta: Tensor, defenses: list[Plugin] | None = None, n: int = 64) -> Leak | None:
    data = toy_dataset()
    data = replace(data, train=data.train.take(torch.arange(n)))
    context = RunContext(data, Setting(data="toy", limit=None), "quick", torch.device("cpu"), folder, {})
    images = (data.train.images.int() + delta.expand(64, 3, 16, 16)[:n]).to(torch.uint8)
    return leak(context, Split(images, data.train.labels), DEFENSES if defenses is None else defenses)


def test_one_pattern_for_all_is_undone_and_noise_is_not(tmp_path: Path) -> None:
    signs = (noise(64, 3, 16, 16) > 0.5).int() * 16 - 8
    one, other = measured(tmp_path, signs[:1, :, :1, :1]), measured(tmp_path, signs)
    assert one is not None and other is not None
    assert one.left < 0.05 and other.left > 0.7
    assert (one.pairs, one.images) == (32, 32)  # half of them: there are fewer than it needs
    assert f"undoes {100 * (1 - one.left):.0f} %" in str(one) and "32 of these images" in str(one)


def test_nothing_is_said_where_there_is_nothing_to_measure(tmp_path: Path) -> None:
    shift = torch.full((1, 3, 16, 16), 8)
    assert measured(tmp_path, shift, [p for p in DEFENSES if not p.value.leaks]) is None
    assert measured(tmp_path, shift, n=3) is None
    assert measured(tmp_path, 0 * shift) is None


@pytest.mark.parametrize(("left", "said"), [(0.25, "undoes 75 %"), (1.0, "undoes nothing"), (1.3, "nothing")])
def test_the_warning_has_its_number(left: float, said: str) -> None:
    assert said in str(Leak("leak-50", 50, 450, left))
