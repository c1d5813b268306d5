"""One poison of one method, for the verbs that let poisons out: from the cache, or crafted with progress."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import torch
from rich.console import Console

from bench import arguments, running, store, workplace
from bench.cell import Bench, craft
from bench.core.errors import BadInput
from bench.core.types import Dataset
from bench.folders import check_writable
from bench.progress import Progress
from bench.registry import Plugin
from bench.settings import Setting


@dataclass(frozen=True)
class Asked:
    """What a verb was asked for, checked before anything is read."""

    console: Console
    setting: Setting
    method: Plugin
    device: torch.device

    @staticmethod
    def of(args: argparse.Namespace) -> Asked:
        setting, methods, _ = arguments.resolve(args)
        if len(methods) != 1:
            raise BadInput(f"{args.methods} names {len(methods)} methods, expected one")
        device, _ = workplace.device_and_workers(args)
        check_writable(running.cache_of(args))
        return Asked(Console(), setting, methods[0], device)

    def crafted(
        self, args: argparse.Namespace, data: Dataset, poison_rep: int = 0
    ) -> tuple[Bench, Plugin, store.Poison]:
        """The poison, and with what it was made."""
        arguments.check_batches(None, (self.method,), len(data.train))
        (method,) = arguments.resolved((self.method,), data, self.console)
        bench = running.open_bench(args, self.setting, data, self.device)
        with Progress(self.console).alone(f"crafting {method.name} for {len(data.train)} images") as tick:
            return bench, method, craft(bench, method, poison_rep, tick)
