"""Every part of the suite behaves as it did when its revision was declared."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench.experiment import keys
from bench.experiment.registry import KINDS, catalog
from defenses.cutout import Cutout
from golden.__main__ import main
from golden.cases import HERE, Case, cases, complaint, revisions_of
from golden.numbers import Numbers, Statistic, moved

FILES = sorted(HERE.glob("*.json"))


@pytest.mark.parametrize("name", cases())
def test_it_behaves_as_it_did_when_its_revision_was_declared(name: str) -> None:
    if said := complaint(cases()[name]):
        pytest.fail(said, pytrace=False)


@pytest.mark.parametrize("kind", KINDS)
def test_no_plugin_of_the_suite_is_a_draft(kind: str) -> None:
    found = catalog(kind).variants
    assert [name for name, plugin in found.items() if plugin.revision is None] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_golden_claims_a_revision_that_is_not_declared(path: Path) -> None:
    """It is that of its file's name; older ones stay."""
    claimed = revisions_of(path)
    first, *below = (f"{name}-r{revision}" for name, revision in claimed.items())
    assert path.stem == "+".join([first, *(part for part in below if not part.endswith("-r1"))])
    for name, revision in claimed.items():
        assert revision <= (cases()[name].declared() or 0), name


# what is said, and what is recorded


@pytest.fixture
def cutout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """A part of the suite whose numbers may be recorded: they lie in a folder of the test's own."""
    for path in FILES:
        if path.stem in ("cutout-r1", "training-r1"):
            shutil.copy(path, tmp_path)
    monkeypatch.setattr("golden.cases.HERE", tmp_path)
    return cases()["cutout"]


def test_recording_overwrites_nothing(
    cutout: Case, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = cutout.path
    before = old.read_bytes()
    assert main(["cutout"]) == 0
    monkeypatch.setattr(Cutout, "_outside", lambda self, b, length, rng, device: _all(b, length))
    assert main(["cutout"]) == 1
    said = capsys.readouterr().out
    assert "revision 1 of cutout is recorded and its numbers moved: raise the revision" in said
    assert old.read_bytes() == before
    monkeypatch.setattr(Cutout, "revision", 2)
    assert "revision 2 has no golden numbers, record them" in (complaint(cutout) or "")
    assert main(["cutout"]) == 0
    assert complaint(cutout) is None
    assert old.read_bytes() == before and cutout.path.name == "cutout-r2.json"


def _all(b: int, length: int) -> Tensor:
    """No square at all."""
    return torch.ones(b, length, dtype=torch.bool)


def test_what_rests_on_another_part_is_recorded_anew_with_its_new_revision(
    cutout: Case, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its own revision stays: in keys both stand."""
    monkeypatch.setitem(keys.REVISIONS, "training", 2)
    assert main(["cutout"]) == 1  # in the wrong order
    assert "settled first: training: revision 2 has no golden numbers" in capsys.readouterr().out
    assert main(["training"]) == main(["cutout"]) == 0
    assert cutout.path.name == "cutout-r1+training-r2.json"
    assert revisions_of(cutout.path) == {"cutout": 1, "training": 2}


def test_bits_count_where_the_environment_is_the_recorded_one(
    cutout: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = json.loads(cutout.path.read_text(encoding="utf-8"))
    stored["digest"] = "0"
    cutout.path.write_text(json.dumps(stored), encoding="utf-8")
    monkeypatch.setattr("golden.cases.surroundings", lambda: stored["environment"])
    assert "bits differ" in (complaint(cutout) or "")
    monkeypatch.setattr("golden.cases.surroundings", lambda: stored["environment"] | {"torch": "another"})
    assert complaint(cutout) is None
    monkeypatch.setattr(Cutout, "_outside", lambda self, b, length, rng, device: _all(b, length))
    said = complaint(cutout) or ""
    assert f"recorded with torch {stored['environment']['torch']} and not another" in said


def test_what_moved_is_said_the_furthest_first() -> None:
    stored = {"a": Statistic(3.21, 0.02, "grey levels"), "b": Statistic(1.0, 0.5), "c": Statistic(4)}
    found = {"a": Statistic(3.4), "b": Statistic(1.4), "c": Statistic(4), "d": Statistic(1)}
    assert moved(stored, found) == [
        "d is not yet among them",
        "a 3.21 -> 3.4 grey levels (tolerance 0.02)",
    ]
    assert moved({"a": Statistic(1.0, 0.1)}, {"a": Statistic(float("nan"))}) == ["a 1 -> nan (tolerance 0.1)"]
    assert moved({"a": Statistic(1)}, {"a": Statistic(None)}) == ["a 1 -> None"]


def test_rounding_on_disk_stays_far_below_the_tolerance() -> None:
    numbers = Numbers()
    numbers.add("a", 2 / 3, 0.02)
    assert numbers.statistics["a"].rounded().value == pytest.approx(2 / 3, abs=0.02 / 100)
