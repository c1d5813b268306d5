"""What all cells of a run share, what a cell is, and where the cache keeps what is made for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from bench.core.checkpoint import Checkpoint
from bench.core.rng import seed_for
from bench.core.types import Dataset
from bench.experiment import keys
from bench.experiment.isolation import isolated
from bench.experiment.registry import Plugin
from bench.experiment.settings import Command, Setting
from bench.nets import Net, build
from bench.results.identity import key_of
from bench.results.rows import Row


@dataclass(frozen=True)
class Cell:
    """One combination of the grid."""

    method: Plugin
    defense: Plugin
    poison_rep: int
    rep: int


@dataclass(frozen=True)
class RunContext:
    """What all cells of a run share."""

    data: Dataset  # on the device
    setting: Setting
    profile: str
    device: torch.device
    cache: Path
    environment: dict[str, str | int]
    save_seconds: float = 30.0  # least time between two checkpoints
    deadline: float | None = None  # time.monotonic() at which work stops, saved
    command: Command | None = None  # that asked for it
    gallery: Path | None = None  # where samples of the poisons are kept
    keep_victims: bool = False  # whether trained victims stay in the cache, see cache.py

    def build(self, name: str, seed: int) -> Net:
        data = self.data
        shape = {"channels": data.channels, "classes": len(data.classes), "size": data.size}
        left: list[str] = []
        with isolated(seed_for(seed, "global"), self.device, left.append):  # a net may be somebody's plugin
            net = build(name, **shape, precision=self.setting.precision, seed=seed, device=self.device)
        if left:
            raise ValueError(f"net {name!r} leaves {left[0]} changed as it is built, expected that as it was")
        return net

    def checkpoint(self, kind: str, key: str) -> Checkpoint:
        path = self.cache / "checkpoints" / f"{kind}-{key[:32]}"
        return Checkpoint(path, self.save_seconds, self.deadline, device=self.device.type)

    def identity(self, cell: Cell) -> keys.Identity:
        """Return what decides the cell's row."""
        plugins = cell.method, cell.defense
        return keys.cell(self.data, self.setting, *plugins, cell.poison_rep, cell.rep)

    def crafting_key(self, method: Plugin, poison_rep: int) -> str:
        """Make the key of a delta: variants that publish it otherwise share it, its seeds and checkpoint."""
        return key_of(keys.crafting(self.data, self.setting, method, poison_rep))

    def craft_checkpoint(self, method: Plugin, poison_rep: int) -> Checkpoint:
        return self.checkpoint("craft", self.crafting_key(method, poison_rep))

    def delta_folder(self, method: Plugin, poison_rep: int) -> Path:
        return self.cache / "deltas" / self.crafting_key(method, poison_rep)[:32]

    def poison_folder(self, method: Plugin, poison_rep: int) -> Path:
        inputs = keys.publication(self.data, self.setting, method, poison_rep)
        return self.cache / "poisons" / key_of(inputs)[:32]


def blank_row(context: RunContext, cell: Cell, **values: Any) -> Row:
    """Make a cell's row with its identity alone, and what its method declares."""
    identity, threat = context.identity(cell), cell.method.value.threat
    values.setdefault("craft", {"norm": threat.norm, "radius": threat.radius})  # which board it is of
    return Row(
        key=identity.key,
        setting=identity.setting,
        data=context.data.name,
        synthetic=context.data.synthetic,
        classes=len(context.data.classes),
        method=cell.method.name,
        defense=cell.defense.name,
        poison_rep=cell.poison_rep,
        rep=cell.rep,
        profile=context.profile,
        inputs=identity.inputs,
        code={"method": cell.method.code, "defense": cell.defense.code},
        control=cell.method.control,
        rerun=context.command.of(cell.method, cell.defense) if context.command else None,
        environment=context.environment,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        **values,
    )
