"""Before the first cell: the workers of a Dask scheduler, each held to what this process sees."""

from __future__ import annotations

import contextlib
import logging
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from distributed import Client

from bench.core.errors import BadInput
from bench.core.files import write_atomically
from bench.experiment.fingerprint import Environment, facts
from bench.runner.backends.dask_worker import Seen, Terms, check, crew

ADDRESS = re.compile(r"((tcp|tls|ws|wss|ucx)://)?[^/\s]+:\d+")
CONNECT_SECONDS = 20.0  # for the scheduler to answer
PATIENCE_SECONDS = 60.0  # without any worker: one that died takes some to be started again
AGAIN = "the same command goes on where it stopped"


@dataclass(frozen=True)
class Muster:
    """A scheduler whose workers were found fit, and for what."""

    address: str
    cache: Path  # absolute: the workers stand elsewhere
    plugins: Path | None
    threads: int
    device: str
    environment: Environment = field(default_factory=dict)  # of one worker

    @property
    def resources(self) -> dict[str, float] | None:
        """What a task asks of its worker."""
        return None if self.device == "cpu" else {"GPU": 1}

    def able(self, found: dict[str, Seen]) -> list[str]:
        return [address for address, worker in found.items() if worker["gpus"] or not self.resources]

    @contextlib.contextmanager
    def terms(self, deadline: float | None = None) -> Iterator[Terms]:
        """What workers are held to, with a folder in the cache for as long as it holds."""
        token = secrets.token_hex(16)
        folder = self.cache / "clusters" / token
        try:
            write_atomically(folder / "token", token)
            known = facts(self.plugins)
            yield Terms(folder, token, known, self.plugins, self.device, self.threads, deadline)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class Roll:
    """Asks a scheduler for its workers."""

    def __init__(self, client: Client, address: str) -> None:
        self.client, self.address = client, address
        self.deserted: float | None = None  # since when there is nobody

    def call(self) -> dict[str, Seen]:
        """The workers that take work or are at work, by address; BadInput if none was for too long."""
        try:
            seen: dict[str, Seen] = self.client.run_on_scheduler(crew)
        except OSError:  # the client tries to connect again
            seen = {}
        except Exception as error:  # it cannot import what it is asked to run
            raise refusal(f"the scheduler at {self.address}", error) from None
        lively = {address: worker for address, worker in seen.items() if worker["lively"]}
        now = time.monotonic()
        self.deserted = None if lively else self.deserted or now
        if self.deserted and now - self.deserted > PATIENCE_SECONDS:
            raise BadInput(
                f"{self.address} has had no worker that takes work for {PATIENCE_SECONDS:.0f} s, expected "
                f"some, as by `dask worker {self.address} --host HOST --nthreads 1`; {AGAIN}"
            )
        return lively


def muster(address: str, cache: Path, plugins: Path | None, device: str, threads: int) -> Muster:
    """Wait for a worker, then check all.

    Raises BadInput unless each has the device, and sees the cache and plugins folders, this package
    and the libraries as this process does.
    """
    with contextlib.closing(connect(address)) as client:
        roll = Roll(client, address)
        while not (found := roll.call()):
            time.sleep(0.2)
        device = _choose(device, found, address)
        asked = Muster(address, cache.absolute(), plugins and plugins.absolute(), threads, device)
        with asked.terms() as terms:
            environment = _check(client, terms, asked.able(found))
        return replace(asked, environment=environment)


def connect(address: str) -> Client:
    for name in [*logging.root.manager.loggerDict]:
        if name.startswith("distributed"):  # what matters is said by this package
            logging.getLogger(name).setLevel(logging.CRITICAL)
    what = "no address"
    if ADDRESS.fullmatch(address):
        try:
            return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            what = (str(error).splitlines() or [type(error).__name__])[0]
    raise BadInput(f"--scheduler {address}: {what}; expected tcp://HOST:PORT of a Dask scheduler")


def refusal(who: str, error: BaseException) -> BadInput:
    """An error that is no job's fault, in one line."""
    if isinstance(error, BadInput):
        return error
    what = (str(error).splitlines() or [""])[0]
    return BadInput(
        f"{who} is of no use, {type(error).__name__}: {what}; expected this package to run as it does here"
    )


def _choose(device: str, found: dict[str, Seen], address: str) -> str:
    """The device: where auto was asked for, GPUs if there are any among the workers."""
    gpus = sum(worker["gpus"] > 0 for worker in found.values())
    if device == "auto":
        return "cuda" if gpus else "cpu"
    if device != "cpu" and not gpus:
        raise BadInput(
            f"--device {device}: none of the {len(found)} workers of {address} offers a GPU, expected some "
            f"started with --resources GPU=1"
        )
    return device


def _check(client: Client, terms: Terms, workers: list[str]) -> Environment:
    """Ask every worker, and see whether its answer arrives; gives what one of them computes with."""
    environment: Environment = {}
    answers = client.run(check, terms, workers=workers, on_error="return")
    for address, answer in sorted(answers.items()):
        if isinstance(answer, BaseException):
            raise refusal(f"worker {address}", answer)
        name, environment = answer
        if _content(terms.folder / name) != terms.token:
            raise BadInput(
                f"worker {address} wrote a file to {terms.folder} that does not arrive here, expected a "
                f"shared folder (--cache)"
            )
    return environment


def _content(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
