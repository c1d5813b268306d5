"""Crafting keeps an accelerator busy: the host waits for its numbers once a round, not once a batch."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from bench.core.errors import BadInput
from bench.experiment.overrides import change
from support.toys import METHODS, toy_lab, toy_split

CLEAN = toy_split(64, 0)
TRAINING = [name for name, plugin in METHODS.items() if hasattr(plugin.value, "surrogate")]
READING = ("__int__", "__float__", "__bool__", "item", "tolist", "cpu", "numpy", "nonzero", "masked_select")
INDEXING = ("__getitem__", "__setitem__")


class Waits(TorchFunctionMode):
    """Counts what makes the host wait where tensors are on an accelerator: what depends on their values."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        masked = name in INDEXING and isinstance(args[1], Tensor) and args[1].dtype == torch.bool
        self.count += name in READING or masked
        return func(*args, **(kwargs or {}))


def waits(name: str, batch: int) -> int:
    """Of all rounds or passes, none of which is the last by its error."""
    value, never = METHODS[name].value, 2.0 if name == "emax" else -1.0
    for path, new in {"batch": batch, "surrogate.batch": batch, "share": 1.0, "stop_error": never}.items():
        with suppress(BadInput):  # it has no such field
            value = change(value, path, new, name)
    with Waits() as seen:
        value.craft(CLEAN, toy_lab())
    return seen.count


@pytest.mark.parametrize("name", TRAINING)
def test_waits_do_not_grow_with_the_batches(name: str) -> None:
    assert waits(name, batch=8) == waits(name, batch=64) > 0


def put(x: Tensor) -> None:
    x[x > 0] = 0


@pytest.mark.parametrize(
    "read", [lambda x: int(x.sum()), lambda x: x[x > 1], put, lambda x: x.nonzero(), lambda x: bool(x.any())]
)
@pytest.mark.parametrize("mode", [torch.inference_mode, torch.enable_grad])
def test_waits_are_seen(read: Any, mode: Any) -> None:
    with mode(), Waits() as seen:
        read(torch.arange(3))
    assert seen.count == 1
