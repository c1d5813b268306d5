"""Around every piece of a plugin: global states are the piece's own before it, and as they were after it."""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from bench.core.rng import generator, global_rng, seed_for


class State(NamedTuple):
    """A global state that a plugin may change by mistake."""

    read: Callable[[], Any]
    put: Callable[[Any], Any]


def _here() -> str | None:
    with suppress(FileNotFoundError):  # it is gone
        return str(Path.cwd())
    return None


def _go(before: str | None) -> None:
    if before is not None:
        os.chdir(before)


def _put_environment(before: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(before)


def _put_filters(before: list[Any]) -> None:
    kept: Any = warnings.filters  # a list, whatever the stubs say
    kept[:] = before


CUDNN = torch.backends.cudnn
STATES = {
    "threads": State(torch.get_num_threads, torch.set_num_threads),
    "default dtype": State(torch.get_default_dtype, torch.set_default_dtype),
    "default device": State(torch.get_default_device, torch.set_default_device),
    "grad mode": State(torch.is_grad_enabled, torch.set_grad_enabled),
    "deterministic algorithms": State(
        torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms
    ),
    "matmul precision": State(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    **{
        f"cudnn.{name}": State(partial(getattr, CUDNN, name), partial(setattr, CUDNN, name))
        for name in ("benchmark", "deterministic", "enabled", "allow_tf32")
    },
    "working directory": State(_here, _go),
    "environment": State(lambda: dict(os.environ), _put_environment),
    "warning filters": State(lambda: [*warnings.filters], _put_filters),
}
QUIET = {"environment", "warning filters"}  # which libraries change, too, when they are first needed


@contextmanager
def isolated(
    seed: int, device: torch.device, left: Callable[[str], Any] = lambda names: None
) -> Iterator[None]:
    """Run a piece with torch, numpy and random seeded by its own seed, and restore what it changes.

    left: told the names of the states that the piece left changed, if it did, but for QUIET ones.
    """
    before = {name: state.read() for name, state in STATES.items()}
    python, numpy = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed_for(seed, "numpy") % 2**32)
    try:
        with global_rng(generator(seed, device)):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        changed = [name for name, state in STATES.items() if _differs(state, before[name])]
        for name in changed:
            STATES[name].put(before[name])
        if said := [name for name in changed if name not in QUIET]:
            left(", ".join(said))


def _differs(state: State, before: Any) -> bool:
    with suppress(OSError):  # the working directory is gone
        return bool(state.read() != before)
    return True
