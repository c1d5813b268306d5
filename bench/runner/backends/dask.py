"""Jobs on the workers of a Dask scheduler (--scheduler ADDRESS), by its Executor interface.

Our own scheduler decides what runs when, as it does with the local pool. Dask brings jobs to workers, and
those of a dead worker to another one, where they go on from their checkpoints in the shared cache. Before
the first cell, each worker is held to what this process sees.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from distributed import Client, KilledWorker, Security

from bench.core.errors import BadInput
from bench.core.files import write_atomically
from bench.experiment.cache import share
from bench.experiment.fingerprint import Environment, fingerprint
from bench.runner.backends.dask_worker import Seen, Terms, check, do, list_workers
from bench.runner.scheduler import Report, WorkersDied

ADDRESS = re.compile(r"((tcp|tls|ws|wss|ucx)://)?[^/\s]+:\d+")
CONNECT_SECONDS = 20.0  # for the scheduler to answer
PATIENCE_SECONDS = 60.0  # without any worker: one that died takes some to be started again
Tls = tuple[Path, Path, Path]
AGAIN = "the same command goes on where it stopped"


@dataclass(frozen=True)
class CheckedWorkers:
    """A scheduler whose workers were found fit, and for what."""

    address: str
    tls: Tls | None
    cache: Path  # absolute: the workers stand elsewhere
    plugins: Path | None
    threads: int
    device: str
    environment: Environment = field(default_factory=dict)  # of one worker

    @property
    def resources(self) -> dict[str, float] | None:
        """Say what a task asks of its worker."""
        return None if self.device == "cpu" else {"GPU": 1}

    def able(self, found: dict[str, Seen]) -> list[str]:
        return [address for address, worker in found.items() if worker["gpus"] or not self.resources]

    @contextlib.contextmanager
    def terms(self, deadline: float | None = None) -> Iterator[Terms]:
        """Give what workers are held to, with a folder in the cache for as long as it holds."""
        token = secrets.token_hex(16)
        folder = self.cache / "clusters" / token
        try:
            write_atomically(folder / "token", token)
            known = fingerprint(self.plugins)
            yield Terms(folder, token, known, self.plugins, self.device, self.threads, deadline)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class WorkerList:
    """Asks a scheduler for its workers."""

    def __init__(self, client: Client, address: str) -> None:
        self.client, self.address = client, address
        self.deserted: float | None = None  # since when there is nobody

    def ask(self) -> dict[str, Seen]:
        """Give the workers that take work or are at work, by address; BadInput if none was for too long."""
        try:
            seen: dict[str, Seen] = self.client.run_on_scheduler(list_workers)
        except OSError:  # the client tries to connect again
            seen = {}
        except Exception as error:  # it cannot import what it is asked to run
            raise refusal(f"the scheduler at {self.address}", error) from None
        found = {address: worker for address, worker in seen.items() if worker["takes_work"]}
        now = time.monotonic()
        self.deserted = None if found else self.deserted or now
        if self.deserted and now - self.deserted > PATIENCE_SECONDS:
            raise BadInput(
                f"{self.address} has had no worker that takes work for {PATIENCE_SECONDS:.0f} s, expected "
                f"some, as by `dask worker {self.address} --host HOST --nthreads 1`; {AGAIN}"
            )
        return found


def check_workers(
    address: str, tls: Tls | None, cache: Path, plugins: Path | None, device: str, threads: int
) -> CheckedWorkers:
    """Wait for a worker, then check all.

    Raises BadInput unless each has the device, and sees the cache and plugins folders, this package
    and the libraries as this process does.
    """
    with contextlib.closing(connect(address, tls)) as client:
        listed = WorkerList(client, address)
        while not (found := listed.ask()):
            time.sleep(0.2)
        gpus = any(worker["gpus"] for worker in found.values())
        if device not in ("auto", "cpu") and not gpus:
            raise BadInput(
                f"--device {device}: none of the {len(found)} workers of {address} offers a GPU, expected "
                f"some started with --resources GPU=1"
            )
        device = ("cuda" if gpus else "cpu") if device == "auto" else device
        checked = CheckedWorkers(
            address, tls, cache.absolute(), plugins and plugins.absolute(), threads, device
        )
        with checked.terms() as terms:
            environment = _check(client, terms, checked.able(found))
        return replace(checked, environment=environment)


def connect(address: str, tls: Tls | None = None) -> Client:
    """Connect to a scheduler. tls: certificate of whom to believe, and one's own with its key."""
    for name in [*logging.root.manager.loggerDict]:
        if name.startswith("distributed"):  # what matters is said by this package
            logging.getLogger(name).setLevel(logging.CRITICAL)
    what = "no address"
    if ADDRESS.fullmatch(address):
        try:
            security = _security(*tls) if tls else None
            return Client(address, timeout=CONNECT_SECONDS, set_as_default=False, security=security)
        except (OSError, ValueError, TypeError) as error:
            what = (str(error).splitlines() or [type(error).__name__])[0]
    raise BadInput(f"--scheduler {address}: {what}; expected tcp://HOST:PORT of a Dask scheduler")


def _security(ca: Path, cert: Path, key: Path) -> Security:
    return Security(
        tls_ca_file=str(ca), tls_client_cert=str(cert), tls_client_key=str(key), require_encryption=True
    )


def refusal(who: str, error: BaseException) -> BadInput:
    """Say an error that is no job's fault in one line."""
    if isinstance(error, BadInput):
        return error
    what = (str(error).splitlines() or [""])[0]
    return BadInput(
        f"{who} is of no use, {type(error).__name__}: {what}; expected this package to run as it does here"
    )


def _check(client: Client, terms: Terms, workers: list[str]) -> Environment:
    """Ask every worker, and see whether its answer arrives; gives what one of them computes with."""
    environment: Environment = {}
    answers = client.run(check, terms, workers=workers, on_error="return")
    for address, answer in sorted(answers.items()):
        if isinstance(answer, BaseException):
            raise refusal(f"worker {address}", answer)
        name, environment = answer
        try:
            arrived = (terms.folder / name).read_text() == terms.token
        except OSError:
            arrived = False
        if not arrived:
            raise BadInput(
                f"worker {address} wrote a file to {terms.folder} that does not arrive here, expected a "
                f"shared folder (--cache)"
            )
    return environment


class Cluster:
    """A Pool whose workers are a scheduler's. What is written stays with the client, which has the rows."""

    def __init__(
        self, checked: CheckedWorkers, work: Callable[..., Any], context: Any, report: Report
    ) -> None:
        self.checked = checked
        with contextlib.ExitStack() as stack:
            deadline = context.deadline and time.time() + context.deadline - time.monotonic()
            self.terms = stack.enter_context(checked.terms(deadline))
            lent = replace(
                context, data=share(context.data, checked.cache), cache=checked.cache, gallery=None
            )
            content = pickle.dumps((work, lent))
            write_atomically(self.terms.folder / "run.pickle", content)
            self.terms = replace(self.terms, run=sha256(content).hexdigest())
            client = stack.enter_context(contextlib.closing(connect(checked.address, checked.tls)))
            client.subscribe_topic(self.terms.token, lambda event: report(*event[1]))
            self.executor = client.get_executor(pure=False, resources=checked.resources)
            self.listed = WorkerList(client, checked.address)
            self.opened = stack.pop_all()

    @property
    def workers(self) -> int:
        """Count those that can do a job now. They come and go; BadInput if there was none for too long."""
        return max(1, len(self.checked.able(self.listed.ask())))

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
        """Pass on the result, or what its failure means here: faults of a job are part of its result."""
        if done.cancelled():
            lost = f"the scheduler at {self.checked.address} has lost the work; {AGAIN}"
            ours.set_exception(BadInput(lost))
            return
        error = done.exception()
        if isinstance(error, KilledWorker):
            died = f"{error.allowed_failures + 1} worker processes died over it (killed, or out of memory)"
            ours.set_exception(WorkersDied(died))
        elif error is not None:
            ours.set_exception(refusal(f"a worker of {self.checked.address}", error))
        else:
            ours.set_result(done.result())

    def close(self, *, now: bool) -> None:
        self.executor.shutdown(wait=not now)  # without waiting it cancels: workers notice at their next step
        self.opened.close()
