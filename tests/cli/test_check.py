"""The gate, end to end on a tiny grid: it passes what is unharmed and names every cell of a sabotage."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from bench.cli.main import main
from bench.core.method import Lab, Method
from bench.core.pgd import pgd
from bench.core.pixels import to_float
from bench.core.types import Split
from bench.experiment import device
from bench.experiment.registry import catalog
from bench.report import write as derive
from bench.results.baseline import load
from bench.results.regression import compare
from bench.results.rows import load_all
from defenses.iss import Jpeg

PLUGINS = catalog("methods").variants
METHODS = [name for name, plugin in PLUGINS.items() if not plugin.control]
GRIDS = {  # name -> methods, defenses, epochs; two grids, so that few nets need to be good
    "methods": (",".join(METHODS), "none", 1),
    "defenses": ("clean,tap", "none,iss-jpeg10", 6),
}
SMALL = {  # --set, wherever a method has such a field
    "surrogate.batch": "16",
    "surrogate.lr": "0.05",
    "steps": "5",
    "step": "0.3",
    "restarts": "1",
    "max_rounds": "2",
    "max_passes": "1",
}
VICTIM = ("batch=16", "lr=0.05")
TINTS = 6 * np.array(
    [[1, -1, 0], [-1, 1, 0], [0, -1, 1], [0, 1, -1]]
)  # a budget of 8 can turn one into another


def draw_tints(folder: Path) -> None:
    """16x16 pictures of four faint colours."""
    draws = np.random.default_rng(0)
    for part, n in (("train", 53), ("test", 10)):
        for name, tint in zip("abcd", TINTS, strict=True):
            (folder / part / name).mkdir(parents=True)
            for i in range(n):
                pixels = 128 + tint + draws.integers(-10, 11, (16, 16, 3))
                Image.fromarray(pixels.astype(np.uint8)).save(folder / part / name / f"{i}.png")


def compute(place: Path, grid: str) -> int:
    """The missing cells of a grid, in this process, where a sabotage works."""
    methods, defenses, epochs = GRIDS[grid]
    sets = [f"victim.{field}" for field in (*VICTIM, f"epochs={epochs}")] + [
        "points=1",
        "mi.images=200",
        "mi.slices=8",
    ]
    for name in methods.split(","):
        value = PLUGINS[name].value
        sets += [f"{name}.surrogate.epochs={epochs}"] * hasattr(value, "surrogate")
        fields = (f for f in SMALL if hasattr(value, f.split(".", maxsplit=1)[0]))
        sets += [f"{name}.{f}={SMALL[f]}" for f in fields]
    asked = ["run", "--data", f"folder:{place / 'tints'}", "--limit", "none", "--reps", "2", "--workers", "1"]
    asked += ["--methods", methods, "--defenses", defenses, "--no-report"]
    asked += ["--cache", str(place / "cache"), "--out", str(place / grid)]
    return main([*asked, *(part for item in sets for part in ("--set", item))])


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both grids and their baselines, to be read only."""
    place = tmp_path_factory.mktemp("healthy")
    draw_tints(place / "tints")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device, "commit_of", lambda folder: "a commit")  # a baseline refuses a dirty tree
        patch.setattr(derive, "derive", lambda *args, **named: None)  # tables and plots are not tried here
        for grid in GRIDS:
            assert compute(place, grid) == 0
            assert main(["check", str(place / grid), "--write", str(place / f"{grid}.json")]) == 0
    shutil.rmtree(place / "cache")
    return place


@pytest.fixture
def place(tmp_path: Path, healthy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to be sabotaged."""
    monkeypatch.setattr(derive, "derive", lambda *args, **named: None)
    return Path(shutil.copytree(healthy, tmp_path / "place"))


def forget(place: Path, grid: str, **names: str) -> int:
    """Remove the rows of a method or a defense, so that they are computed again; how many there were."""
    forgotten = 0
    for row in load_all(place / grid / "rows"):
        if all(getattr(row, kind) == name for kind, name in names.items()):
            (place / grid / "rows" / f"{row.key[:16]}.json").unlink()
            forgotten += 1
    return forgotten


def flagged(place: Path, grid: str, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The cells that the gate does not pass: it prints them first, and its exit code says the same."""
    capsys.readouterr()
    code = main(["check", str(place / grid), "--baseline", str(place / f"{grid}.json")])
    said = capsys.readouterr().out.splitlines()
    lines = compare(load(place / f"{grid}.json"), load_all(place / grid / "rows")).lines
    cells = [line.cell for line in lines if line.verdict != "within"]
    assert code == bool(cells)
    assert all(text.startswith(cell) for text, cell in zip(said[2:], cells, strict=False))
    return set(cells)


Craft = Callable[[Any, Any, Any], Tensor]


def zeroed(craft: Craft) -> Craft:
    """No delta; of a method that returns images, the clean ones."""

    def nothing(self: Method, clean: Split, lab: Lab) -> Tensor:
        found: Tensor = craft(self, clean, lab) * 0
        return found + to_float(clean.images) if self.maps_images else found

    return nothing


def faint(craft: Craft) -> Craft:
    return lambda *args: craft(*args) / 8


def rare(craft: Craft) -> Craft:
    """A delta for one image in two: the largest change stays what it was."""

    def half(*args: Any) -> Tensor:
        delta = craft(*args)
        delta[::2] = 0
        return delta

    return half


def sabotage(monkeypatch: pytest.MonkeyPatch, method: str, how: Callable[[Craft], Craft]) -> None:
    kind = type(PLUGINS[method].value)
    monkeypatch.setattr(kind, "craft", how(kind.craft))


@pytest.mark.parametrize("method", METHODS)
def test_a_zeroed_delta_is_caught(
    place: Path, method: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert forget(place, "methods", method=method) == 2
    sabotage(monkeypatch, method, zeroed)
    assert compute(place, "methods") == 1
    assert flagged(place, "methods", capsys) == {f"{method} x none"}


@pytest.mark.parametrize(("method", "how"), [("tap", faint), ("em", rare)])
def test_a_weakened_delta_is_caught(
    place: Path,
    method: str,
    how: Callable[[Craft], Craft],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    forget(place, "methods", method=method)
    sabotage(monkeypatch, method, how)
    assert compute(place, "methods") == 0  # nothing else notices
    assert flagged(place, "methods", capsys) == {f"{method} x none"}


def test_a_negated_objective_of_tap_is_caught(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def negated(objective: Callable[[Tensor], Tensor], *args: Any, **numbers: Any) -> Tensor:
        return pgd(lambda z: -objective(z), *args, **numbers)

    assert forget(place, "defenses", method="tap") == 4
    monkeypatch.setattr("methods.tap.pgd", negated)
    assert compute(place, "defenses") == 0
    assert "tap x none" in flagged(place, "defenses", capsys) <= {"tap x none", "tap x iss-jpeg10"}


@pytest.mark.parametrize(
    ("prepare", "code"),
    [(lambda self, images: images, 1), (lambda self, images: original(Jpeg(quality=95), images), 0)],
    ids=["identity", "quality 95"],
)
def test_a_jpeg_that_does_nothing_or_little_is_caught(
    place: Path,
    prepare: Callable[[Jpeg, Tensor], Tensor],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert forget(place, "defenses", defense="iss-jpeg10") == 4
    monkeypatch.setattr(Jpeg, "prepare", prepare)
    assert compute(place, "defenses") == code  # the identity is refused before it gives a number
    cells = flagged(place, "defenses", capsys)
    assert "tap x iss-jpeg10" in cells <= {"tap x iss-jpeg10", "clean x iss-jpeg10"}


original = Jpeg.prepare


def test_what_is_unharmed_passes_though_computed_again(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert forget(place, "methods", method="em") == 2
    assert compute(place, "methods") == 0
    assert flagged(place, "methods", capsys) == set()
