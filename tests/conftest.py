"""Toy images, nets and labs, hand-made rows, and every plugin in a test-sized copy."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from bench import upgrade
from bench.core.checkpoint import Checkpoint, OutOfTime
from bench.core.errors import BadInput
from bench.core.method import Lab
from bench.core.rng import generator
from bench.core.types import Augmentation, Dataset, Recipe, Split
from bench.data.prepare import digest
from bench.identity import key_of, record_name
from bench.nets import Net
from bench.nets import build as build_net
from bench.override import change
from bench.registry import Plugin, catalog
from bench.rows import Row

torch.set_num_threads(1)
for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "COLUMNS", "LINES"):
    os.environ.pop(name, None)  # what is printed follows them
if os.path.expanduser("~") in ("~", "/"):  # noqa: PTH111 (Path's raises where there is none)
    os.environ["HOME"] = "/home/nobody"  # tests look for the user's folder in what may be published
if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # a shell starts background jobs so, and children inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

T = TypeVar("T")

CLASSES, SIZE = 4, 16
QUADRANTS = "abcd"  # classes of draw_images()
AUGMENTATION = Augmentation(pad=2, flip=False)  # a mirrored quadrant is another class
SMALLER = {  # field -> value, wherever a plugin has such a field
    "surrogate.epochs": 2,
    "surrogate.batch": 32,
    "batch": 40,  # so that the last batch is smaller
    "steps": 5,
    "step": 0.2,  # of eps
    "first_step": 0.1,
    "last_step": 0.1,
    "max_rounds": 4,
    "max_passes": 3,
    "restarts": 2,
}
EXAMPLES = {"methods": (), "defenses": ("at-3", "iss-jpeg50", "iss-bdr4")}  # one instance a pattern


def shrink(plugin: Plugin) -> Plugin:
    """A plugin that runs in a second: its fields that are known to cost time, set by their names."""
    for path, value in SMALLER.items():
        if path == "step" and plugin.kind == "defenses":
            continue  # in pixels there
        try:
            plugin = replace(plugin, value=change(plugin.value, path, value, plugin.name))
        except BadInput:
            continue  # it has no such field
    return plugin


def _plugins(kind: str) -> dict[str, Plugin]:
    found = catalog(kind)
    return {name: shrink(found.get(name)) for name in (*found.variants, *EXAMPLES[kind])}


METHODS, DEFENSES = _plugins("methods"), _plugins("defenses")


def toy_split(n: int, seed: int, *, channels: int = 3, size: int = SIZE, contrast: int = 100) -> Split:
    """Class k has a bright quadrant k on noise: no defense of the suite removes that."""
    rng = generator(seed)
    labels = torch.randint(0, CLASSES, (n,), generator=rng)
    images = torch.randint(40, 120, (n, channels, size, size), generator=rng)
    half = size // 2
    for image, label in zip(images, labels.tolist(), strict=True):
        row, column = (half * (label // 2), half * (label % 2))
        image[:, row : row + half, column : column + half] += contrast
    return Split(images.to(torch.uint8), labels)


def toy_dataset(*, channels: int = 3) -> Dataset:
    train, val, test = (toy_split(n, n, channels=channels) for n in (64, 24, 40))
    names = tuple("abcd")
    true = digest((train, val, test), names, AUGMENTATION)
    return Dataset("toy", true, train, val, test, names, AUGMENTATION, synthetic=True)


def small_net(seed: int = 0, *, channels: int = 3) -> Net:
    device = torch.device("cpu")
    shape = {"channels": channels, "classes": CLASSES, "size": SIZE}
    return build_net("small", **shape, precision="fp32", seed=seed, device=device)


def toy_lab(seed: int = 1, checkpoint: Checkpoint | None = None) -> Lab:
    lab = Lab(CLASSES, AUGMENTATION, toy_split(24, 24), small_net, seed)
    lab.checkpoint = checkpoint or Checkpoint()
    return lab


def overdue(path: Path) -> Checkpoint:
    """A checkpoint that ends the work at its first save."""
    return Checkpoint(path, seconds=0, deadline=time.monotonic() - 1)


def killed_at_every_save(work: Callable[[Checkpoint], T], path: Path) -> tuple[T, int]:
    """Run a work that is stopped at each save and started again; its result and how often that was."""
    for kills in range(200):
        try:
            return work(overdue(path)), kills
        except OutOfTime:
            continue
    raise AssertionError("200 attempts and no end")


def equal_weights(one: nn.Module, other: nn.Module) -> bool:
    """Bit-identical parameters and averages."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


SETTING, OTHER = "1" * 64, "2" * 64
INPUTS: dict[str, Any] = {
    "revisions": {"data": 1, "crafting": 1, "training": 1, "evaluation": 1, "mi": 2},
    "data": {
        "name": "toy",
        "digest": "d" * 64,
        "limit": None,
        "resize": "none",
        "train_images": 4000,
        "augmentation": {"pad": 4, "flip": True},
    },
    "surrogate": "small",
    "precision": "fp32",
    "seed": 7,
    "net": "resnet18",
    "eps": None,
    "prepare_test": False,
    "points": 3,
    "victim": json.loads(json.dumps(asdict(Recipe()))),
    "mi": {"images": 1000, "slices": 96},
    "share": 1.0,
    "drop_poisoned": False,
}


def row(method: str, defense: str = "none", rep: int = 0, poison_rep: int = 0, **values: Any) -> Row:
    """A hand-made row of glyphs; values are any other columns."""
    plain: dict[str, Any] = {"setting": SETTING, "data": "glyphs", "inputs": {}} | values
    plain = {"classes": 10, "control": method in ("clean", "random")} | plain
    said = repr((plain["setting"], method, defense, rep, poison_rep, plain["inputs"]))
    key = hashlib.sha256(said.encode()).hexdigest()
    cell = {"method": method, "defense": defense, "poison_rep": poison_rep, "rep": rep}
    return completed(Row(key=key, synthetic=True, profile="quick", **cell, **plain))


def completed(row: Row) -> Row:
    """The row with all the inputs that a stored one has; its own stay."""
    plugins = {
        "method": {"name": row.method, "crafted_as": row.method, "revision": 1, "eps": 0.0},
        "defense": {"name": row.defense, "revision": 1},
    }
    whole = INPUTS | plugins | {"poison_rep": row.poison_rep, "rep": row.rep}
    own = {name: row.inputs.get(name, value) for name, value in whole.items()}
    filled = {name: {**value, **own[name]} for name, value in whole.items() if isinstance(value, dict)}
    return replace(row, inputs={**row.inputs, **own, **filled})


def aged(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make rows and records of a run's folder ones of schema 1; digests of today's code count as reviewed."""
    keys = {}
    for path in (out / "rows").iterdir():
        row = json.loads(path.read_text(encoding="utf-8"))
        unsaid = {"revisions": row["inputs"]["revisions"], "share": 1.0, "drop_poisoned": False}
        inputs = {name: value for name, value in row["inputs"].items() if value != unsaid.get(name, "")}
        inputs["protocol"] = 1
        for kind, listed in (("method", upgrade.METHODS), ("defense", upgrade.DEFENSES)):
            own, code = inputs[kind], row["code"][kind]
            monkeypatch.setitem(listed, code, {own["name"]: own.pop("revision")})
            inputs[kind] = {name: value for name, value in own.items() if name != "crafted_as"} | {
                "code": code
            }
        keys[row["key"]] = key_of(inputs)
        old = {name: value for name, value in row.items() if name not in ("code", "legacy_key")}
        old |= {"key": keys[row["key"]], "inputs": inputs, "schema": 1}
        path.unlink()
        (out / "rows" / f"{old['key'][:16]}.json").write_text(json.dumps(old), encoding="utf-8")
    for path in (out / "records").glob("*"):
        record, code = json.loads(path.read_text(encoding="utf-8")), "c" * 16
        inputs = {name: keys.get(value, value) for name, value in record["inputs"].items()}
        monkeypatch.setitem(upgrade.METRICS, code, inputs.pop("revision"))
        named = {name: keys[record["record"][name]] for name in ("net_row", "poison_row")}
        old = {"inputs": inputs | {"code": code, "function": "a:b"}, "record": record["record"] | named}
        path.unlink()
        (out / "records" / record_name(inputs)).write_text(json.dumps(old), encoding="utf-8")


RECIPE = Recipe(epochs=2, batch=24, lr=0.05)


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


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Uniform in [0,1]."""
    return torch.rand(shape, generator=generator(seed))


# Processes that tests start


CHILDREN: list[Any] = []  # those of this test


@pytest.fixture(autouse=True)
def no_child_outlives_its_test() -> Iterator[None]:
    yield
    while CHILDREN:
        child = CHILDREN.pop()
        child.kill()
        child.join(60)


# Pictures on disk


def draw_images(folder: Path, mode: str = "RGB", train: int = 18, test: int = 6) -> None:
    """A folder of 16x16 pictures; class k has a bright quadrant k."""
    draws = np.random.default_rng(0)
    for part, n in (("train", train), ("test", test)):
        for k, name in enumerate(QUADRANTS):
            place = folder / part / name
            place.mkdir(parents=True)
            for i in range(n):
                pixels = draws.integers(40, 120, (16, 16, 3), dtype=np.uint8)
                row, column = 8 * (k // 2), 8 * (k % 2)
                pixels[row : row + 8, column : column + 8] += 100
                Image.fromarray(pixels).convert(mode).save(place / f"{i}.png")


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
