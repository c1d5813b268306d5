"""Where jobs run: in this process, or in worker processes of few threads each."""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from bench.experiment.cache import open_shared, share
from bench.experiment.device import set_up
from bench.experiment.registry import import_plugins
from bench.runner.scheduler import Report

_worker: dict[str, Any] = {}  # what this worker process was started with


class Pool:
    """Runs work(context, job, tick) for jobs; report hears of their progress.

    work: a function of a module, whose faults are part of its result. plugins: the folder whose
    modules the jobs may come from.
    """

    def __init__(
        self, work: Callable[..., Any], context: Any, workers: int, plugins: Path | None, report: Report
    ) -> None:
        self.work, self.context, self.workers, self.report = work, context, workers, report
        self.plugins = plugins
        if workers > 1:  # they map the images; sent, these would fill a container's small shared memory
            self.shared = share(context.data.to(torch.device("cpu")), context.cache)
            self.spawn = mp.get_context("spawn")
            self.executor = self._start()

    def _start(self) -> Executor:
        # A worker reads from the lifeline until this process closes its end, or dies.
        lifeline, self.grip = self.spawn.Pipe(duplex=False)
        ticks = self.spawn.SimpleQueue()
        threading.Thread(target=self._listen, args=(ticks,), daemon=True).start()
        seats = self.spawn.SimpleQueue()
        for seat in range(self.workers):
            seats.put(seat)
        sent = replace(self.context, data=self.shared)
        arguments = (self.work, sent, self.plugins, torch.get_num_threads(), seats, ticks, lifeline)
        return ProcessPoolExecutor(self.workers, self.spawn, initializer=_begin, initargs=arguments)

    def submit(self, job: Any) -> Future[Any]:
        if self.workers == 1:  # at once, in this process
            done = Future[Any]()
            done.set_result(self.work(self.context, job, partial(self.report, job.name)))
            return done
        future = self.executor.submit(_do, job)
        with contextlib.suppress(BrokenProcessPool):  # then the future says it
            self.executor.submit(int)  # its end makes the executor watch a worker that it just started
        return future

    def revive(self) -> None:
        """Start new workers for a broken pool's, and a new queue: a dead one may hold its lock."""
        self.grip.close()
        self.executor.shutdown(wait=False)
        self.executor = self._start()

    def close(self, *, now: bool) -> None:
        """End the workers; now: in the middle of their work, which has its checkpoints."""
        if self.workers > 1:
            if now:
                self.grip.close()
            self.executor.shutdown(wait=True, cancel_futures=True)

    def _listen(self, ticks: Any) -> None:
        while True:
            self.report(*ticks.get())


def _begin(
    work: Callable[..., Any],
    context: Any,
    plugins: Path | None,
    threads: int,
    seats: Any,
    ticks: Any,
    lifeline: Any,
) -> None:
    """Make a new process a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C is the parent's to handle
    threading.Thread(target=_watch, args=(lifeline,), daemon=True).start()
    device = seated(context.device, seats.get(), torch.cuda.device_count())
    set_up(device, threads)
    import_plugins(plugins)
    data = open_shared(context.data, context.cache).to(device)
    _worker.update(work=work, context=replace(context, device=device, data=data), ticks=ticks)


def seated(device: torch.device, seat: int, count: int) -> torch.device:
    """Place the worker in a seat: on a GPU of its own, as long as there is one. count: of GPUs."""
    if device.type != "cuda" or device.index is not None:
        return device
    return torch.device("cuda", seat % count)


def _watch(lifeline: Any) -> None:
    """End this process when its parent lets go of the lifeline."""
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv()
    os._exit(3)


def _do(job: Any) -> Any:
    ticks = _worker["ticks"]
    return _worker["work"](_worker["context"], job, lambda share, what: ticks.put((job.name, share, what)))
