"""Where a run reads and writes, and what computes it: nothing here moves a number but the threads."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from bench.core.errors import BadInput

MOST = 1024  # processes, and threads of each


@dataclass(frozen=True)
class Where:
    """Folders of a run."""

    cache: Path = field(default_factory=lambda: Path(platformdirs.user_cache_dir("ue-bench")))
    out: Path | None = None  # of rows and what follows from them; None: named after profile and data
    data_root: Path | None = None  # of cifar10, cifar100 and svhn
    plugins: Path | None = None  # with further methods/, defenses/ or nets/

    def __post_init__(self) -> None:
        if self.out and self.out.absolute().resolve().is_relative_to(self.cache.absolute().resolve()):
            raise BadInput(f"--out {self.out} is in the cache {self.cache}, expected a folder outside of it")


@dataclass(frozen=True)
class Machine:
    """What computes a run, and for how long."""

    device: str = "auto"
    threads: int = 1  # of each worker
    workers: int | None = None  # processes; None: as many as there are CPU cores, or GPUs
    minutes: float | None = None  # after which nothing is begun; None: no limit
    save_seconds: float = 30.0  # between checkpoints
    scheduler: str | None = None  # address of Dask's, whose workers compute
    tls_ca_file: Path | None = None  # whom to believe there, a certificate; with it the two below
    tls_cert: Path | None = None  # this process's own, and its key
    tls_key: Path | None = None

    @property
    def tls(self) -> tuple[Path, Path, Path] | None:
        """Give the three files; None where none is named, BadInput where some are or one is no file."""
        named = {"ca-file": self.tls_ca_file, "cert": self.tls_cert, "key": self.tls_key}
        files = {name: path for name, path in named.items() if path is not None}
        if not files:
            return None
        if lacking := [f"--tls-{name}" for name in named if name not in files]:
            raise BadInput(
                f"{' and '.join(lacking)} is not there, expected --tls-ca-file, --tls-cert, --tls-key"
            )
        if not str(self.scheduler).startswith("tls://"):
            raise BadInput(f"--scheduler is {self.scheduler}, expected tls://HOST:PORT beside --tls-*")
        for name, path in files.items():
            if not path.is_file():
                raise BadInput(f"--tls-{name} {path} is no file, expected one in PEM")
        ca, cert, key = files.values()
        return ca, cert, key

    def __post_init__(self) -> None:
        for what, count in (("--workers", self.workers), ("--threads", self.threads)):
            if count is not None and not 1 <= count <= MOST:
                raise BadInput(f"{what} is {count}, expected 1 to {MOST}")
        for what, number in (("--minutes", self.minutes), ("--save-seconds", self.save_seconds)):
            if number is not None and not 0 <= number < float("inf"):
                raise BadInput(f"{what} is {number}, expected 0 or more")
