"""Toy images, nets and labs, hand-made rows, and every plugin in a test-sized copy."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from bench.core.rng import generator
from bench.core.types import Dataset, Split
from bench.experiment.registry import Plugin
from support.pictures import draw_images
from support.processes import CHILDREN
from support.toys import DEFENSES, METHODS, toy_dataset, toy_split

torch.set_num_threads(1)
for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "COLUMNS", "LINES"):
    os.environ.pop(name, None)  # what is printed follows them
if os.path.expanduser("~") in ("~", "/"):  # noqa: PTH111 (Path's raises where there is none)
    os.environ["HOME"] = "/home/nobody"  # tests look for the user's folder in what may be published
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:  # shells and nohup start programs so; children inherit it
        signal.signal(number, usual)


@pytest.fixture(scope="session")
def split() -> Split:
    return toy_split(64, 0)


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return toy_dataset()


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> Plugin:
    return METHODS[request.param]


@pytest.fixture(params=DEFENSES)
def defense(request: pytest.FixtureRequest) -> Plugin:
    return DEFENSES[request.param]


@pytest.fixture
def rng() -> torch.Generator:
    return generator(0)


# Processes that tests start


@pytest.fixture(autouse=True)
def no_child_outlives_its_test() -> Iterator[None]:
    yield
    while CHILDREN:
        child = CHILDREN.pop()
        child.kill()
        child.join(60)


# Pictures on disk


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("images")
    draw_images(place / "quad", train=53)  # as many as MI needs
    draw_images(place / "gray", mode="L")
    return place


@pytest.fixture
def place(tmp_path: Path, images: Path) -> Path:
    """A folder of its own with the pictures in it; nothing is computed yet."""
    for name in ("quad", "gray"):
        (tmp_path / name).symlink_to(images / name)
    return tmp_path
