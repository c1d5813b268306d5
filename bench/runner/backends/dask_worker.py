"""What runs in the processes of a Dask cluster. Light to import: the scheduler imports it too."""

from __future__ import annotations

import asyncio
import os
import pickle
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from bench.core.errors import BadInput
from bench.core.files import write_atomically
from bench.core.stored import MIB, read
from bench.experiment.fingerprint import Environment, fingerprint

if TYPE_CHECKING:
    import torch

LARGEST = 256 * MIB  # bytes of what the client says of a run
TICK_SECONDS = 1.0  # least time between two words on a job's progress


@dataclass(frozen=True)
class Terms:
    """What a client expects of every process that works for it."""

    folder: Path  # of this run alone, in the shared cache
    token: str  # what its file `token` holds
    fingerprint: dict[str, str]  # what the client sees, and a worker must see too
    plugins: Path | None
    device: str
    threads: int
    deadline: float | None = None  # time.time() at which work stops, saved
    run: str = ""  # sha256 of the folder's run.pickle: it comes from the client, whatever lies in the cache


class Unwanted(Exception):
    """Nobody waits for this job any more."""


class Seen(TypedDict):
    """What a scheduler knows of a worker."""

    gpus: float  # that it offers
    takes_work: bool  # or is at work


def list_workers(dask_scheduler: Any) -> dict[str, Seen]:
    """Give all workers of a scheduler, by address."""
    return {
        address: Seen(
            gpus=worker.resources.get("GPU", 0),
            takes_work=worker.status.name == "running" or bool(worker.executing),
        )
        for address, worker in dask_scheduler.workers.items()
    }


async def check(terms: Terms, dask_worker: Any) -> tuple[str, Environment]:
    """Run examine(), beside the worker's conversation with its scheduler: torch takes long to import."""
    return await asyncio.to_thread(examine, terms, dask_worker)


def examine(terms: Terms, worker: Any) -> tuple[str, Environment]:
    """Refuse this process as a worker (BadInput), or answer the token and say what it computes with.

    The answer is the name of a file in the run's folder, in which the token is repeated.
    """
    who = f"worker {worker.address}"
    if (threads := worker.state.nthreads) != 1:
        raise BadInput(f"{who} does {threads} tasks at a time, expected one: start it with --nthreads 1")
    answer = _exchange(terms, who)
    for name, seen in fingerprint(terms.plugins).items():
        if seen != (expected := terms.fingerprint[name]):
            raise BadInput(f"{who}: {name} is {seen}, expected {expected} as the client has it")
    try:
        device = _set_up(terms)
        from bench.experiment.device import environment

        return answer, environment(device)
    except BadInput as error:
        raise BadInput(f"{who}: {error}") from None


def _exchange(terms: Terms, who: str) -> str:
    try:
        seen = (terms.folder / "token").read_text()
        answer = secrets.token_hex(8)
        write_atomically(terms.folder / answer, seen)
    except OSError as error:
        raise BadInput(
            f"{who} has no use of the client's cache folder, {type(error).__name__} for {error.filename}; "
            f"expected a shared folder under the same path there (--cache)"
        ) from None
    if seen != terms.token:
        raise BadInput(f"{who} reads {seen!r} in {terms.folder / 'token'}, expected {terms.token!r}")
    return answer


def _set_up(terms: Terms) -> torch.device:
    """Set up torch as the local pool's workers do; in each task, since some holds for a thread alone."""
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", str(terms.threads))
    from bench.experiment.device import device_of, set_up

    device = device_of(terms.device)
    set_up(device, terms.threads)
    return device


_runs: dict[Path, tuple[Callable[..., Any], Any]] = {}  # folder -> work, context: of the last run alone


def do(terms: Terms, job: bytes) -> Any:
    """Do a job, in a task of Dask's. What it raises is no fault of the job."""
    from distributed import get_worker

    from bench.runner.jobs import without_places

    worker = get_worker()
    if terms.folder not in _runs:  # a process that joined late, or took the place of one that died
        examine(terms, worker)
        _runs.clear()
        _runs[terms.folder] = _opened(terms)
    _set_up(terms)
    work, context = _runs[terms.folder]
    todo = pickle.loads(job)
    result = work(context, todo, _ticker(worker, terms.token, todo.name))
    if result.error:  # the client knows its own folders alone
        result = replace(result, error=without_places(result.error, terms.plugins))
    return result


def _opened(terms: Terms) -> tuple[Callable[..., Any], Any]:
    """Open the run's work and its RunContext, with the images on this process's device."""
    from bench.experiment.cache import open_shared
    from bench.experiment.device import environment
    from bench.experiment.registry import import_plugins

    import_plugins(terms.plugins)
    content = read(terms.folder / "run.pickle", LARGEST)
    if sha256(content).hexdigest() != terms.run:
        raise BadInput(f"{terms.folder / 'run.pickle'} is not what the client wrote; nothing of it was run")
    work, context = pickle.loads(content)
    device = _set_up(terms)
    left = None if terms.deadline is None else terms.deadline - time.time()
    return work, replace(
        context,
        data=open_shared(context.data, context.cache).to(device),
        device=device,
        environment=environment(device),
        deadline=None if left is None else time.monotonic() + left,
    )


def _ticker(worker: Any, topic: str, name: str) -> Callable[[float, str], None]:
    """Tell the client of progress, and end the job when the client has gone or given it up."""
    key, said = worker.get_current_task(), 0.0

    def tick(share: float, what: str) -> None:
        nonlocal said
        task = worker.state.tasks.get(key)
        if task is None or task.state != "executing":
            raise Unwanted
        if time.monotonic() - said >= TICK_SECONDS:
            worker.log_event(topic, [name, share, what])
            said = time.monotonic()

    return tick
