"""Jobs on the workers of a Dask scheduler (--scheduler ADDRESS), by its Executor interface.

Our own scheduler decides what runs when, as it does with the local pool. Dask brings jobs to workers, and
those of a dead worker to another one, where they go on from their checkpoints in the shared cache.
"""

from __future__ import annotations

import contextlib
import pickle
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from distributed import KilledWorker

from bench.core.errors import BadInput
from bench.core.files import write_atomically
from bench.experiment.cache import share
from bench.runner.backends.dask_worker import do
from bench.runner.backends.muster import AGAIN, Muster, Roll, connect, refusal
from bench.runner.scheduler import Report, WorkersDied


class Cluster:
    """A Pool whose workers are a scheduler's. What is written stays with the client, which has the rows."""

    def __init__(self, muster: Muster, work: Callable[..., Any], bench: Any, report: Report) -> None:
        self.muster = muster
        with contextlib.ExitStack() as stack:
            deadline = bench.deadline and time.time() + bench.deadline - time.monotonic()
            self.terms = stack.enter_context(muster.terms(deadline))
            lent = replace(bench, data=share(bench.data, muster.cache), cache=muster.cache, gallery=None)
            write_atomically(self.terms.folder / "run.pickle", pickle.dumps((work, lent)))
            client = stack.enter_context(contextlib.closing(connect(muster.address)))
            client.subscribe_topic(self.terms.token, lambda event: report(*event[1]))
            self.executor = client.get_executor(pure=False, resources=muster.resources)
            self.roll = Roll(client, muster.address)
            self.opened = stack.pop_all()

    @property
    def workers(self) -> int:
        """They come and go. BadInput if there was none for too long."""
        return max(1, len(self.muster.able(self.roll.call())))

    def submit(self, job: Any) -> Future[Any]:
        ours: Future[Any] = Future()
        try:
            content = pickle.dumps(job)
        except Exception as error:  # a plugin that cannot be sent to a worker
            ours.set_exception(error)
            return ours
        theirs = self.executor.submit(do, self.terms, content)
        theirs.add_done_callback(lambda done: self._pass_on(done, ours))
        return ours

    def _pass_on(self, done: Future[Any], ours: Future[Any]) -> None:
        """The result, or what its failure means here: faults of a job are part of its result."""
        if done.cancelled():
            lost = f"the scheduler at {self.muster.address} has lost the work; {AGAIN}"
            ours.set_exception(BadInput(lost))
            return
        error = done.exception()
        if isinstance(error, KilledWorker):
            died = f"{error.allowed_failures + 1} worker processes died over it (killed, or out of memory)"
            ours.set_exception(WorkersDied(died))
        elif error is not None:
            ours.set_exception(refusal(f"a worker of {self.muster.address}", error))
        else:
            ours.set_result(done.result())

    def revive(self) -> None:
        """Nothing to do: Dask replaces its workers, and no job is lost with another's."""

    def close(self, *, now: bool) -> None:
        self.executor.shutdown(wait=not now)  # without waiting it cancels: workers notice at their next step
        self.opened.close()
