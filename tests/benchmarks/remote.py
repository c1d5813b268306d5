"""Another process to time something in, with a number of threads of its own."""

from __future__ import annotations

import multiprocessing as mp
from collections.abc import Callable
from typing import Any

import torch


class Remote:
    """A process that calls functions of modules, one at a time."""

    def __init__(self) -> None:
        context = mp.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self.process.start()

    def send(self, threads: int, work: Callable[..., Any], *args: Any) -> None:
        self.pipe.send((threads, work, args))

    def get(self) -> Any:
        return self.pipe.recv()

    def call(self, threads: int, work: Callable[..., Any], *args: Any) -> Any:
        self.send(threads, work, *args)
        return self.get()

    def close(self) -> None:
        self.process.terminate()
        self.process.join()


def _serve(pipe: Any) -> None:
    torch.set_flush_denormal(True)
    while True:
        threads, work, args = pipe.recv()
        torch.set_num_threads(threads)
        pipe.send(work(*args))
