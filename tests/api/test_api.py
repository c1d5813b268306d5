"""The Python interface gives what the command line gives, and takes images as people have them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import bench
from bench.cli import config
from bench.cli.main import main, parsed
from bench.core.errors import BadInput
from bench.results.rows import load_all
from support.toys import CLASSES, toy_split

TOY, TEST = toy_split(64, 0), toy_split(40, 1)
LAST = TOY.images.permute(0, 2, 3, 1).numpy()
LABELS = TOY.labels.numpy()
FAST = ("victim.epochs=2", "points=1", "mi.images=60", "mi.slices=4")


class Pairs:
    """As torchvision's data sets: images of Pillow and labels."""

    def __len__(self) -> int:
        return len(LAST)

    def __getitem__(self, i: int) -> Any:
        return Image.fromarray(LAST[i]), int(LABELS[i])


class Floats(Pairs):
    """As torchvision's with ToTensor."""

    def __getitem__(self, i: int) -> Any:
        return TOY.images[i] / 255, int(LABELS[i])


class Changed(Pairs):
    """With a transform that leaves no image: Normalize, or one of Pillow's modes."""

    def __init__(self, mode: str) -> None:
        self.mode = mode

    def __getitem__(self, i: int) -> Any:
        image, label = super().__getitem__(i)
        return (TOY.images[i] / 127.5 - 1 if self.mode == "normalised" else image.convert(self.mode)), label


class Named(Pairs):
    """As those of Hugging Face."""

    def __getitem__(self, i: int) -> Any:
        return dict(zip(("image", "label"), super().__getitem__(i), strict=True))


GIVEN: dict[str, tuple[Any, ...]] = {
    "array, channels last": (LAST, LABELS),
    "array, channels first": (TOY.images.numpy(), LABELS.tolist()),
    "tensor": (TOY.images, TOY.labels),
    "gray array": (LAST[..., 0], LABELS),
    "torchvision": (Pairs(),),
    "torchvision, ToTensor": (Floats(),),
    "Hugging Face": (Named(),),
}


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_images_come_back_protected_in_the_layout_that_they_came_in(given: tuple[Any, ...]) -> None:
    made = bench.craft(*given, method="random", eps=4 / 255)
    before = np.asarray(given[0]) if len(given) == 2 else LAST
    before = before.transpose(0, 3, 1, 2) if isinstance(given[0], Floats) else before
    assert made.images.dtype == np.uint8 and made.images.shape == before.shape
    assert np.abs(made.images.astype(int) - before).max() == 4
    assert made.manifest["distances"]["linf"] == pytest.approx(4 / 255)


def test_layouts_hold_the_same_images() -> None:
    first, last = (
        bench.craft(*GIVEN[f"array, channels {at}"], method="random").images for at in ("first", "last")
    )
    assert np.array_equal(first.transpose(0, 2, 3, 1), last)


def test_a_victim_is_trained_and_all_that_is_measured_is_in_the_row() -> None:
    made = bench.craft(LAST, LABELS, method="random").images
    plain = bench.evaluate(LAST, LABELS, test=TEST.images, test_labels=TEST.labels, settings=FAST)
    row = bench.evaluate(
        made, LABELS, test=TEST.images, test_labels=TEST.labels, clean=LAST, defense="iss-gray", settings=FAST
    )
    assert plain.linf == 0 and row.linf == pytest.approx(8 / 255)
    assert row.defense == "iss-gray" and row.classes == CLASSES
    for one in (plain, row):
        assert one.test_acc is not None and len(one.curve) == 1


BRIGHTER = '''"""Brighter: add the whole budget to every pixel."""

from dataclasses import dataclass

import torch

from bench.core.method import Method


@dataclass(frozen=True)
class Brighter(Method):
    def craft(self, clean, lab):
        return torch.full(clean.images.shape, self.eps)


VARIANTS = {"brighter": Brighter()}
'''
WRONG: dict[str, tuple[tuple[Any, ...], dict[str, Any], str]] = {
    "no labels": ((LAST,), {}, "without labels"),
    "floats": ((LAST / 255, LABELS), {}, "torch.float64"),
    "no squares": ((LAST[:, :8], LABELS), {}, "16x8 pixels"),
    "fewer labels": ((LAST, LABELS[:9]), {}, "one for each of 64"),
    "a class without images": ((LAST, np.where(LABELS == 1, 9, LABELS)), {}, "class '1' has no image"),
    "an unknown method": ((LAST, LABELS), {"method": "emx"}, "did you mean"),
    "a budget of 8": ((LAST, LABELS), {"eps": 8}, "8/255"),
    "five channels": ((np.zeros((9, 5, 16, 5), np.uint8), np.arange(9)), {}, "1 or 3 channels"),
    "no images": ((7,), {}, "a int, expected arrays"),
    "a path": (("images",), {}, "a str, expected arrays"),
    "splits": (({"train": Named(), "test": Named()},), {}, "with train, test, expected one of these"),
    "a data set and labels": ((Pairs(), LABELS), {}, "of a data set leave out labels"),
    "no pairs": (([LAST[0]],), {}, "expected a pair of an image and its label"),
    "normalised": ((Changed("normalised"),), {}, "leave Normalize out of its transform"),
    **{mode: ((Changed(mode),), {}, f"mode {mode}, expected RGB or L") for mode in ("P", "RGBA", "1")},
}


@pytest.mark.parametrize(("given", "more", "said"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_is_said(given: tuple[Any, ...], more: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        bench.craft(*given, **{"method": "random", **more})


HELD: dict[str, Any] = {"test": TEST.images, "test_labels": TEST.labels, "settings": FAST}


@pytest.mark.parametrize("which", ["clean", "purified"])
def test_images_beside_the_published_ones_must_be_the_same_ones(which: str) -> None:
    with pytest.raises(BadInput, match=f"{which} images are"):
        bench.evaluate(LAST, LABELS, **HELD, **{which: LAST[:, :8, :8]})


@pytest.mark.parametrize("which", ["clean", "purified", "test"])
def test_what_is_wrong_with_further_images_names_them(which: str) -> None:
    with pytest.raises(BadInput, match=f"^{which}( images)?: "):
        bench.evaluate(LAST, LABELS, **{**HELD, which: LAST[:9] / 255})


def test_clean_images_may_be_a_data_set() -> None:
    row = bench.evaluate(bench.craft(Named(), method="random").images, LABELS, **HELD, clean=Named())
    assert row.linf == pytest.approx(8 / 255)


def test_a_victim_learns_from_images_that_were_purified_elsewhere() -> None:
    """Purified perfectly it is the victim of clean images; where nothing is left it names one class."""
    made = bench.craft(LAST, LABELS, method="random").images
    clean, whole, blank = (
        bench.evaluate(*given, **HELD, purified=shown)
        for given, shown in (((LAST, LABELS), None), ((made, LABELS), LAST), ((made, LABELS), 0 * LAST))
    )
    assert (clean.defense, whole.defense) == ("none", "purified")
    assert whole.test_acc == clean.test_acc and blank.train_acc is not None
    assert blank.train_acc * 60 <= np.bincount(LABELS).max()  # of 64 images 4 are held out
    assert len({row.key for row in (clean, whole, blank)}) == 3


def test_purified_images_are_a_defense_by_themselves() -> None:
    with pytest.raises(BadInput, match="defense is 'iss-gray' beside purified images"):
        bench.evaluate(LAST, LABELS, **HELD, defense="iss-gray", purified=LAST)
    with pytest.raises(ValueError, match="other images than those that were purified"):
        sets = (*FAST, "share=0.9")
        bench.evaluate(
            bench.craft(LAST, LABELS, method="random").images,
            LABELS,
            **{**HELD, "settings": sets},
            clean=LAST,
            purified=LAST,
        )
    with pytest.raises(BadInput, match="--prepare-test: purified purifies all published images together"):
        bench.evaluate(
            LAST, LABELS, **{**HELD, "settings": (*FAST, "prepare_test=true")}, purified=255 - LAST
        )


def test_ones_own_plugins_are_found(tmp_path: Path) -> None:
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "brighter.py").write_text(BRIGHTER, encoding="utf-8")
    made = bench.craft(LAST, LABELS, method="brighter", plugins=tmp_path)
    assert (made.images.astype(int) - LAST).max() == 8
    with pytest.raises(BadInput, match="unknown method"):
        bench.craft(LAST, LABELS, method="brighter")


# options in a file


def settings(place: Path) -> dict[str, Any]:
    return {
        "methods": "clean,random",
        "defenses": ["none"],
        "limit": 100,
        "set": {"victim.epochs": 1, "points": 1, "mi.images": 60, "mi.slices": 4},
        "out": str(place / "out"),
        "cache": str(place / "cache"),
        "workers": 1,
        "no-report": True,
    }


def test_a_run_from_python_is_that_of_the_command_line(tmp_path: Path) -> None:
    found = bench.run(settings(tmp_path))
    assert sorted(found["method"]) == ["clean", "random"]
    assert {row.key for row in load_all(tmp_path / "out" / "rows")} == {*found["key"]}
    assert bench.load_rows(tmp_path / "out")["test_acc"].tolist() == found["test_acc"].tolist()
    asked = settings(tmp_path) | {"out": str(tmp_path / "other"), "cache": str(tmp_path / "fresh")}
    assert main(["run", *config.arguments(asked, parsed(["run"]).own)]) == 0
    again = {row.key: row.test_acc for row in load_all(tmp_path / "other" / "rows")}
    assert again == dict(zip(found["key"], found["test_acc"], strict=True))
    with pytest.raises(BadInput, match="expected the folder of a run"):
        bench.load_rows(tmp_path / "nowhere")


def test_purified_images_are_a_defense_from_python_as_well(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="purified:nowhere: there is no such folder"):
        bench.run({**settings(tmp_path), "purified": "nowhere"})


def test_options_printed_as_a_file_are_the_same_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["--methods", "em,tap", "--defenses", "none", "--limit", "100", "--no-report"]
    line = ["run", *chosen, "--set", "em.steps=3", "--set", "tap.steps=2"]
    assert main([*line, "--print-config"]) == 0
    path = tmp_path / "mine.yaml"
    path.write_text(capsys.readouterr().out)
    plain, again = parsed(line), parsed(["run", "--config", str(path)])
    aside = ("config", "print_config", "own")
    assert {k: v for k, v in vars(plain).items() if k not in aside} == {
        k: v for k, v in vars(again).items() if k not in aside
    }
    assert parsed(["run", "--config", str(path), "--limit", "200"]).limit == "200"


def test_every_option_of_a_run_comes_back_from_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All at once, which no run would take: none is lost, and none comes back as another type."""
    own = parsed(["run"]).own
    line = ["run"]
    for name, action in config._options(own):
        if name in config.ASIDE:
            continue
        option = action.option_strings[0]
        value = {int: "3", float: "1.5", None: "a,b"}.get(action.type, "some/place")
        line += [option] if action.nargs == 0 else [option, "em.steps=3" if name == "set" else value]
    assert len(line) > 60
    assert main([*line, "--print-config"]) == 0
    path = tmp_path / "all.yaml"
    path.write_text(capsys.readouterr().out)
    plain, again = parsed(line), parsed(["run", "--config", str(path)])
    aside = ("config", "print_config", "own")
    assert {k: v for k, v in vars(plain).items() if k not in aside} == {
        k: v for k, v in vars(again).items() if k not in aside
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("metods: em\n", "did you mean 'methods'"),
        ("- em\n", "no list of options"),
        ("methods: [em\n", "cannot be read"),
        ("no-report: 3\n", "expected true or false"),
        ("set: em.steps\n", "expected lines of FIELD: VALUE"),
        ("config: other.yaml\n", "unknown option"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    assert main(["run", "--config", str(path)]) == 2
    told = capsys.readouterr().err
    assert said in told and told.startswith("bench: ") and told.count("\n") == 1


def test_the_package_is_light_until_it_is_used() -> None:
    code = "import sys, bench; assert 'torch' not in sys.modules; bench.craft; assert 'torch' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'crft'"):
        bench.crft  # noqa: B018
    assert torch.is_tensor(TOY.images)
