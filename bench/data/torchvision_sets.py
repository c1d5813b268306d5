"""CIFAR-10, CIFAR-100 and SVHN, through torchvision."""

from __future__ import annotations

import contextlib
import io
import socket
import tarfile
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import BadInput
from bench.data.prepare import Pool, Source, at_hand

FILES = {
    "cifar10": "cifar-10-batches-py/ or cifar-10-python.tar.gz",
    "cifar100": "cifar-100-python/ or cifar-100-python.tar.gz",
    "svhn": "train_32x32.mat and test_32x32.mat",
}
FAILED = (OSError, RuntimeError, HTTPException, EOFError, tarfile.TarError)  # offline, cut off, damaged
PATIENCE = 30.0  # seconds without an answer


def source(name: str, place: Path, download: bool = True) -> Source:
    """Take the data set as found in place, or as downloaded to it."""
    try:
        with quiet():
            train, test = (raw(name, place, train, download) for train in (True, False))
    except FAILED as error:
        raise BadInput(
            f"{name}: not found in {place} and not downloaded ({error}); expected "
            f"{'a network, or ' if download else ''}--data-root DIR with {FILES[name]} in DIR"
        ) from error
    if name == "svhn":
        pools = at_hand(train.data, train.labels), at_hand(test.data, test.labels)
        return Source(name, *pools, tuple("0123456789"), flip=False, pad=4)
    return Source(name, cifar(train), cifar(test), tuple(train.classes), pad=4)


def raw(name: str, place: Path, train: bool, download: bool) -> Any:
    from torchvision import datasets

    if name == "svhn":
        return datasets.SVHN(place, split="train" if train else "test", download=download)
    kind = datasets.CIFAR10 if name == "cifar10" else datasets.CIFAR100
    return kind(place, train=train, download=download)


def cifar(part: Any) -> Pool:
    return at_hand(np.moveaxis(part.data, 3, 1), part.targets)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Allow no progress bars of torchvision's, and no endless wait behind a firewall."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        socket.setdefaulttimeout(before)
