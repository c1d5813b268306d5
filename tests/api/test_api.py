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
    "Hugging Face": (Named(),),
}


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_images_come_back_protected_in_the_layout_that_they_came_in(given: tuple[Any, ...]) -> None:
    made = bench.craft(*given, method="random", eps=4 / 255)
    before = np.asarray(given[0]) if len(given) == 2 else LAST
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
}


@pytest.mark.parametrize(("given", "more", "said"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_is_said(given: tuple[Any, ...], more: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        bench.craft(*given, **{"method": "random", **more})


def test_clean_images_must_be_of_the_same_shape() -> None:
    with pytest.raises(BadInput, match="clean images are"):
        bench.evaluate(LAST, LABELS, test=TEST.images, test_labels=TEST.labels, clean=LAST[:, :8, :8])


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
    with pytest.raises(BadInput, match="expected the folder of a run"):
        bench.load_rows(tmp_path / "nowhere")


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
