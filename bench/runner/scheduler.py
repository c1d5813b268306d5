"""Runs jobs on workers: in order, in time, and again where a worker has died."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Generic, Protocol, TypeVar

from bench.core.errors import BadInput
from bench.experiment.locks import Locks
from bench.runner.progress import Progress

TRIES = 3  # of a job whose worker dies
ENDED = ("FINISHED", "CANCELLED_AND_NOTIFIED")  # states of a future
GLANCE = 0.02  # seconds between two looks at the jobs
PAUSE = 2.0  # seconds until it is seen anew how many workers there are, and what another run is at

Report = Callable[[str, float, str], None]  # name of a job, share done, what is going on


def wait(futures: Collection[Future[Any]], seconds: float) -> list[Future[Any]]:
    """Wait for some to end, so long at most, without their locks.

    A signal within concurrent.futures.wait could leave one taken, for which its executor waits for ever.
    """
    until, ended = time.monotonic() + seconds, list[Future[Any]]()
    while futures and not ended and time.monotonic() < until:
        ended = [future for future in futures if future._state in ENDED]
        time.sleep(0 if ended else GLANCE)
    return ended


class Workers(Protocol):
    """Where jobs run."""

    @property
    def workers(self) -> int:
        """How many jobs can be at work now."""

    def submit(self, job: Any) -> Future[Any]:
        """Start a job; the future may raise BrokenProcessPool, as its worker died, and no other's."""

    def close(self, *, now: bool) -> None:
        """End the work; now: in the middle."""


class WorkersDied(Exception):
    """A job took down every worker that tried it."""


class Schedulable(Protocol):
    """A job; no two of a run share a name. Costs are in any unit that all share."""

    @property
    def name(self) -> str: ...

    @property
    def cost(self) -> float: ...


J = TypeVar("J", bound=Schedulable)


class Work(Generic[J]):
    """What a scheduler asks about its jobs, and tells of how they ended."""

    def lock(self, job: J) -> str:
        """Name what no other job may be at meanwhile, of this run or of another."""
        raise NotImplementedError

    def found(self, job: J) -> bool:
        """Look whether another run has done a job, which is locked now."""
        return False

    def needed(self, job: J) -> float:
        """Estimate the seconds that a job takes, 0 where nothing is known."""
        return 0.0

    def leave(self, job: J) -> None:
        """Note that there is no time for a job."""

    def end(self, job: J, result: Any) -> list[J]:
        """Take what a job gave, or the exception it ended with; returns the jobs that are ready by it."""
        raise NotImplementedError


class Scheduler(Generic[J]):
    """Keeps workers busy until no job is left. deadline: time.monotonic() after which none begins."""

    def __init__(
        self, work: Work[J], pool: Workers, progress: Progress, locks: Locks, deadline: float | None
    ) -> None:
        self.work, self.pool, self.progress, self.locks = work, pool, progress, locks
        self.deadline = deadline
        self.ready: list[J] = []
        self.running: dict[Future[Any], J] = {}
        self.first: set[str] = set()  # names of the jobs that were given: others wait for them
        self.deaths: Counter[str] = Counter()  # of workers, by the names of the jobs that they were at
        self.elsewhere: set[str] = set()  # what was said to be computed by another run

    def run(self, jobs: Sequence[J]) -> None:
        """Do these jobs and all that become ready by them, and close the pool.

        Raises BadInput where the workers are of no use, and what the work raises.
        """
        self.ready, self.first = [*jobs], {job.name for job in jobs}
        try:
            while self.ready or self.running:
                self._submit()
                if not self.running and self.ready:
                    time.sleep(PAUSE)
                ended = wait(self.running, PAUSE)
                for future in sorted(ended, key=lambda future: future.exception() is not None):
                    self._settle(self.running.pop(future), future)
            self.pool.close(now=False)
        except BaseException:  # also a signal while the workers end by themselves
            self.pool.close(now=True)
            raise
        finally:
            self.locks.drop_all()

    def _submit(self) -> None:
        """Keep the workers busy; what is locked is asked for again the next time."""
        self.ready.sort(
            key=lambda j: (self._last_try(j), not self.deaths[j.name], j.name not in self.first, -j.cost)
        )
        later, workers = list[J](), self.pool.workers
        while self.ready and len(self.running) < workers:
            if self.running and any(map(self._last_try, (self.ready[0], *self.running.values()))):
                break  # it is alone
            job = self.ready.pop(0)
            lock = self.work.lock(job)
            if not self._fits(job):
                self.work.leave(job)
            elif lock in self.locks.held:  # another job of this run is at it
                later.append(job)
            elif not self.locks.take(lock):
                if job.name not in self.elsewhere:
                    self.progress.say(f"{job.name}: being computed by another run, left for later")
                self.elsewhere.add(job.name)
                later.append(job)
            elif self.work.found(job):
                self.locks.drop(lock)
                self.progress.skip(job.cost)
                self.progress.say(f"{job.name}: computed by another run")
            else:
                self.progress.begin(job.name, job.cost)
                self.running[self.pool.submit(job)] = job
        self.ready += later

    def _last_try(self, job: J) -> bool:
        """Whether a job has one try left, which it has alone: others may have left too little memory."""
        return self.deaths[job.name] == TRIES - 1

    def _fits(self, job: J) -> bool:
        """Whether a job will end before the deadline, as far as is known."""
        if self.deadline is None:
            return True
        left, needed = self.deadline - time.monotonic(), self.work.needed(job)
        fits = left > 0 and left >= needed
        if needed and not fits:
            self.progress.say(f"{job.name}: not started, needs about {needed / 60:.0f} minutes")
        return fits

    def _settle(self, job: J, future: Future[Any]) -> None:
        error = future.exception()
        if isinstance(error, BrokenProcessPool):
            self.deaths[job.name] += 1
            if self.deaths[job.name] < TRIES:  # it starts again, from its checkpoint
                self.progress.drop(job.name)
                self.locks.drop(self.work.lock(job))
                self.ready.append(job)
                return
            error = WorkersDied(f"its worker process died {TRIES} times (killed, or out of memory)")
        elif isinstance(error, BadInput | OSError):  # not the job's fault, and other jobs would meet it too
            raise error
        result = future.result() if error is None else error
        self.progress.end(job.name, getattr(result, "seconds", None) or None)
        self.ready += self.work.end(job, result)
        self.locks.drop(self.work.lock(job))
