"""Rows are accepted where anybody can compute them again with today's suite, else refused with a reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.cli.main import main
from bench.results.rows import Row, load_all, save
from support.commands import command, refused
from support.pages import ROOT
from support.pictures import draw_images
from support.rows import keyed

GOLDEN = ["--golden", str(ROOT / "tests" / "golden")]


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rows, as somebody would submit them."""
    place = tmp_path_factory.mktemp("submitted")
    draw_images(place / "quad", train=53)
    assert main(command(place, "clean,random", "none")) == 0
    (place / "out" / "README.md").write_text("Two methods on drawn images: that it runs.")
    return place


@pytest.fixture
def submitted(computed: Path, tmp_path: Path) -> Path:
    shutil.copytree(computed / "out", tmp_path / "out")
    return tmp_path / "out"


def change(run: Path, how: Callable[[Row], Row]) -> None:
    """Change every row, and its key where its inputs changed."""
    rows = load_all(run / "rows")
    shutil.rmtree(run / "rows")
    for row in rows:
        save(keyed(how(row)), run / "rows")


def test_good_rows_are_accepted_and_one_is_computed_again(
    submitted: Path, computed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", f"folder:{computed / 'quad'}"]
    assert main(["submission", str(submitted), *data, *GOLDEN]) == 0
    said = capsys.readouterr().out
    assert "% here, " in said and said.endswith("accepted: 2 rows of 1 runs\n")


def test_a_number_that_does_not_come_out_is_refused(
    submitted: Path, computed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (submitted / "rows").iterdir():
        values = json.loads(path.read_text())
        path.write_text(json.dumps(values | {"test_acc": abs(values["test_acc"] - 0.4)}))
    data = ["--data", f"folder:{computed / 'quad'}"]
    assert main(["submission", str(submitted), *data, *GOLDEN]) == 1
    assert "expected within 5 points" in capsys.readouterr().out


def test_other_images_than_the_rows_are_of_are_told(
    submitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_images(tmp_path / "quad", train=60)
    data = ["--data", f"folder:{tmp_path / 'quad'}"]
    assert main(["submission", str(submitted), *data, *GOLDEN]) == 1
    assert "its command gives other inputs" in capsys.readouterr().out


def test_without_the_images_a_reviewer_is_asked(submitted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submission", str(submitted), *GOLDEN]) == 1
    assert "expected --data, or --no-rerun" in capsys.readouterr().out
    assert main(["submission", str(submitted), *GOLDEN, "--no-rerun"]) == 0


def inputs(row: Row, **values: Any) -> Row:
    return replace(row, inputs=row.inputs | values)


BAD: dict[str, tuple[Callable[[Row], Row], str]] = {
    "a draft": (
        lambda row: replace(inputs(row, defense={"name": "mine", "draft": "a" * 16}), defense="mine"),
        "defense mine is a draft, expected a plugin of the suite",
    ),
    "a revision that is not today's": (
        lambda row: inputs(row, revisions=row.inputs["revisions"] | {"training": 9}),
        "revision 9 of training, expected today's",
    ),
    "one of a plugin": (
        lambda row: inputs(row, defense=row.inputs["defense"] | {"revision": 9}),
        "revision 9 of defense none, expected today's",
    ),
    "a plugin that nobody has": (
        lambda row: replace(
            inputs(row, defense=row.inputs["defense"] | {"name": "shield"}), defense="shield"
        ),
        "defense shield is not in the suite",
    ),
    "no command": (lambda row: replace(row, rerun=None), "no command that computes it again"),
}


@pytest.mark.parametrize("how, said", BAD.values(), ids=BAD)
def test_rows_that_nobody_can_compute_again_are_refused(
    submitted: Path, capsys: pytest.CaptureFixture[str], how: Callable[[Row], Row], said: str
) -> None:
    change(submitted, how)
    assert main(["submission", str(submitted), *GOLDEN, "--no-rerun"]) == 1
    found = capsys.readouterr().out
    assert f".json and 1 more: {said}" in found and "refused: 2 rows" in found


def test_a_plugin_without_golden_numbers_is_refused(
    submitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "golden").mkdir()
    asked = ["submission", str(submitted), "--golden", str(tmp_path / "golden"), "--no-rerun"]
    assert main(asked) == 1
    assert "no golden numbers of method random at revision" in capsys.readouterr().out


def test_files_alone_are_checked_and_what_lies_beside_them_is_named(
    submitted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, _ = sorted((submitted / "rows").iterdir())
    (submitted / "README.md").unlink()
    (submitted / "rows" / "poison.npy").write_bytes(b"images")
    (submitted / "rows" / "._one.json").write_bytes(b"hidden")
    assert main(["submission", str(one), *GOLDEN, "--no-rerun"]) == 1
    said = capsys.readouterr().out
    assert (
        "no README.md" in said
        and all(f"{name} is no row" in said for name in ("poison.npy", "._one.json"))
        and "refused: 1 rows" in said
    )


def test_a_changed_key_and_a_command_that_does_more_are_no_rows_to_run(
    submitted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(submitted, lambda row: replace(row, rerun=f"{row.rerun} --plugins /tmp/mine"))
    assert "without --plugins" in refused(["submission", str(submitted), *GOLDEN], capsys)
    one, _ = sorted((submitted / "rows").iterdir())
    values = json.loads(one.read_text())
    one.write_text(json.dumps(values | {"rep": 1}))
    assert "expected 0 as in inputs" in refused(["submission", str(submitted), *GOLDEN], capsys)
