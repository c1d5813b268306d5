"""How a property is checked, and what is said where it fails."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch

from bench.experiment.declared import PREFIX
from bench.experiment.isolation import STATES, isolated
from bench.experiment.registry import Plugin
from bench.experiment.settings import PROFILES

CASE = TypeVar("CASE")
Properties = Mapping[str, Callable[[CASE], None]]  # name -> what raises where a case has it not


class Broken(ValueError):
    """A property does not hold: what was seen, and what was expected."""


def expect(holds: object, seen: str, expected: str) -> None:
    """Raise Broken unless it holds. seen, expected: parts of one sentence."""
    if not holds:
        raise Broken(f"{seen}, expected {expected}")


def complaint(check: Callable[[CASE], None], case: CASE) -> str | None:
    """Check one property of a case; None where it holds, else what was seen and expected, in a line."""
    try:
        with isolated(0, torch.device("cpu")):
            check(case)
    except Broken as broken:
        return str(broken)
    except Exception as error:  # a plugin may break in any way
        said = " ".join(str(error).split())
        return said if type(error) is ValueError else f"raised {type(error).__name__}: {said}"
    return None


@contextmanager
def states_untouched(who: str) -> Iterator[None]:
    """Raise Broken where what is inside draws from a global generator, or leaves a global state changed.

    Generators are those of torch, numpy and random.
    """
    changed = list[str]()
    with isolated(1, torch.device("cpu"), changed.append):
        before = _generators()
        yield
        after = _generators()
    drawn = [name for name, state in before.items() if state != after[name]]
    expect(
        not drawn,
        f"{who} draws from the global generator of {', '.join(drawn)}, or seeds it",
        "draws from the generator that it is given",
    )
    expect(not changed, f"{who} leaves {', '.join(changed)} changed", f"{', '.join(STATES)} as they were")


def check_profiles(plugin: Plugin) -> None:
    """Check that profiles are the suite's, change fields that exist, and leave `paper` as it is."""
    own = getattr(plugin.value, "PROFILES", {})
    expect({*own} <= {*PROFILES}, f"there are profiles {', '.join(own)}", f"some of {', '.join(PROFILES)}")
    for profile in PROFILES:
        plugin.at(profile)  # names a field that does not exist
    expect(
        plugin.at("paper").value == plugin.value,
        "the profile paper changes fields",
        "defaults that are the paper's",
    )


def check_declared(plugin: Plugin, declared: Plugin) -> None:
    """Check that the module says without torch what it holds, so that `list` and refusals are fast."""
    expect(
        type(declared.value).__module__.startswith(PREFIX),
        "the module needs torch to be read",
        "torch inside functions alone: not in decorators, class bodies or at module level",
    )
    said, own = ({k: v for k, v in p.inputs.items() if k != "draft"} for p in (declared, plugin))
    expect(said == own, f"without torch its parameters read {said}", f"{own}")


def _generators() -> dict[str, object]:
    """Read the states of the global generators."""
    return {
        "torch": torch.get_rng_state().tolist(),
        "numpy": np.random.get_state()[1].tolist(),  # type: ignore[index,union-attr]
        "Python": random.getstate(),
    }


def moved_streams() -> None:
    """Move all global generators on."""
    torch.rand(7), random.random(), np.random.rand()
