"""Where jobs run: in this process, or in worker processes of few threads each."""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from bench.core.files import sweep
from bench.experiment.cache import open_shared, share
from bench.experiment.device import set_up
from bench.experiment.registry import import_plugins
from bench.runner.backends.lifeline import begin, starting
from bench.runner.scheduler import Report

_worker: dict[str, Any] = {}  # what this worker process was started with


@dataclass
class Seat:
    """A worker process, alone in its executor: where it dies, no other is lost with it."""

    number: int
    executor: ProcessPoolExecutor
    job: Future[Any] | None = None  # the last one


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
            sent = replace(context, data=share(context.data.to(torch.device("cpu")), context.cache))
            self.begun = pickle.dumps((_begin, (work, sent, plugins, torch.get_num_threads())))
            self.spawn = mp.get_context("spawn")
            # A worker reads from the lifeline until this process closes its end, or dies.
            self.lifeline, self.grip = self.spawn.Pipe(duplex=False)
            self.seats = [self._seat(number) for number in range(workers)]

    def _seat(self, number: int) -> Seat:
        ticks = self.spawn.SimpleQueue()  # its own: a dead worker may hold a queue's lock
        threading.Thread(target=self._listen, args=(ticks,), daemon=True).start()
        arguments = (self.lifeline, self.begun, number, ticks)
        return Seat(number, ProcessPoolExecutor(1, self.spawn, initializer=begin, initargs=arguments))

    def submit(self, job: Any) -> Future[Any]:
        if self.workers == 1:  # at once, in this process
            done = Future[Any]()
            done.set_result(self.work(self.context, job, partial(self.report, job.name)))
            return done
        with starting():  # and asks for no future's lock where a signal could leave it taken
            seat = next(seat for seat in self.seats if seat.job is None or seat.job.done())
            try:
                seat.job = seat.executor.submit(_do, job)
            except BrokenProcessPool:  # its worker has died, of its last job or of none
                seat.executor.shutdown(wait=False)
                seat = self.seats[seat.number] = self._seat(seat.number)
                seat.job = seat.executor.submit(_do, job)
            with contextlib.suppress(BrokenProcessPool):  # then the future says it
                seat.executor.submit(int)  # its end makes the executor watch a worker that it just started
        return seat.job

    def close(self, *, now: bool) -> None:
        """End the workers; now: in the middle of their work, which has its checkpoints."""
        if self.workers > 1:
            if now:
                self.grip.close()
            executors = [seat.executor for seat in self.seats]
            # the processes of each, which it does not give
            workers = [w for own in executors for w in (getattr(own, "_processes", None) or {}).values()]
            for worker in workers if now else ():
                worker.kill()  # sooner than it hears of the lifeline
            for executor in executors:
                executor.shutdown(wait=True, cancel_futures=True)
            if now:
                sweep(self.context.cache, {worker.pid for worker in workers})

    def _listen(self, ticks: Any) -> None:
        while True:
            self.report(*ticks.get())


def _begin(
    work: Callable[..., Any], context: Any, plugins: Path | None, threads: int, seat: int, ticks: Any
) -> None:
    """Make a new process a worker; what keeps it from being one, its first job raises."""
    try:
        device = seated(context.device, seat, torch.cuda.device_count())
        set_up(device, threads)
        import_plugins(plugins)
        data = open_shared(context.data, context.cache).to(device)
        _worker.update(work=work, context=replace(context, device=device, data=data), ticks=ticks)
    except Exception as error:
        _worker["fault"] = error


def seated(device: torch.device, seat: int, count: int) -> torch.device:
    """Place the worker in a seat: on a GPU of its own, as long as there is one. count: of GPUs."""
    if device.type != "cuda" or device.index is not None:
        return device
    return torch.device("cuda", seat % count)


def _do(job: Any) -> Any:
    if "fault" in _worker:
        raise _worker["fault"]
    ticks = _worker["ticks"]
    return _worker["work"](_worker["context"], job, lambda share, what: ticks.put((job.name, share, what)))
