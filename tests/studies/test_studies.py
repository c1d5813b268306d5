"""Studies: what a runner computes, keeps and computes again, and what study depth makes of rows."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from bench import studies
from bench.cli.main import main
from bench.experiment import cell
from bench.experiment.context import Cell, RunContext
from bench.experiment.evaluate import Copies
from bench.metrics import METRICS, Metric
from bench.nets import build
from bench.results import rows as files
from bench.results import upgrade
from bench.results.rows import Row
from bench.runner import jobs, session
from bench.runner.request import Options, RunRequest, Variation, resolve
from bench.studies import NAMES, driver, named
from bench.studies.depth import study as depth
from bench.studies.measure import MeasureJob
from bench.studies.study import Findings, Record, Study
from support.pictures import draw_images
from support.rows import NEWER, aged

TOY = """
TROUBLE = {}

def shift(subject):
    TROUBLE["calls"] = TROUBLE.get("calls", 0) + 1
    if TROUBLE["calls"] in TROUBLE.get("at", ()):
        raise TROUBLE["error"]("3 images, expected more")
    change = subject.published_features - subject.clean_features
    return {"value": float(change.abs().mean()), "n": len(subject.labels), "classes": subject.classes}

def norm(subject):
    return {"value": float(subject.published_features.norm())}
"""
SETS = ("victim.epochs=1", "victim.batch=16", "points=1", "mi.images=50", "mi.slices=4")
ROWS, MEASURED = 3, 4


def toy_analysis(rows: Sequence[Row], records: Sequence[Record]) -> Findings:
    table = pd.DataFrame([{"net": r.inputs["net"], "acc": r.test_acc} for r in rows])
    said = "\n".join(f"{r.measure} {r.values.get('value')} {r.reason}" for r in records)
    figure = Figure()
    figure.subplots().plot([0, 1])
    return Findings({"toy": table}, {"toy": figure}, said)


TOY_STUDY = Study(
    about="a toy",
    grids=lambda: (
        Variation("clean,random", "none", Options(net="small")),
        Variation("clean", "none", Options(net="linear")),
    ),
    measures=("shift",),
    through_clean=("shift",),
    analyse=toy_analysis,
)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The study `toy` in the place of the others, and the file of its measure."""
    place = tmp_path_factory.mktemp("toy")
    (place / "toy_measures.py").write_text(TOY)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(place)
        for name in ("shift", "norm"):
            patch.setitem(METRICS, name, Metric(f"toy_measures:{name}", revision=1))
        patch.setattr(studies, "NAMES", ("toy",))
        for name in (
            "bench.studies.toy.study",
            "declared:bench.studies.toy.study",
        ):  # imported and, before, declared
            patch.setitem(sys.modules, name, ModuleType(name))
            patch.setattr(sys.modules[name], "STUDY", TOY_STUDY, raising=False)
        yield place / "toy_measures.py"
    sys.modules.pop("toy_measures", None)


def study(place: Path, *more: str) -> int:
    """Run it on place/quad."""
    sets = [part for field in SETS for part in ("--set", field)]
    where = ["--cache", str(place / "cache"), "--out", str(place / "out"), "--workers", "1"]
    return main(
        ["study", "toy", "--data", f"folder:{place / 'quad'}", "--limit", "none", *where, *sets, *more]
    )


@pytest.fixture(scope="module")
def finished(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study, to be read only; its victims are still kept."""
    place = tmp_path_factory.mktemp("finished")
    draw_images(place / "quad")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver, "drop_victim", lambda cache, key: None)
        assert study(place) == 0
    return place


@pytest.fixture
def done(tmp_path: Path, finished: Path) -> Path:
    """A finished study, to be changed."""
    place = Path(shutil.copytree(finished, tmp_path / "done"))
    sys.modules["toy_measures"].TROUBLE.clear()
    return place


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The cells that are computed, while the test goes on."""
    seen: list[str] = []

    def counted(context: RunContext, one: Cell, *rest: object) -> Row:
        seen.append(f"{context.setting.net} {one.method.name}")
        return cell.run_cell(context, one, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs, "run_cell", counted)
    return seen


def measured() -> int:
    calls: int = sys.modules["toy_measures"].TROUBLE.get("calls", 0)
    return calls


def records(place: Path) -> dict[str, dict[str, object]]:
    """By file, without what may differ between two measurements."""
    found = {path.name: json.loads(path.read_text()) for path in (place / "out/records").iterdir()}
    return {name: {**stored, "record": {**stored["record"], "seconds": 0}} for name, stored in found.items()}


def forget(place: Path) -> None:
    """Remove what was measured, and the features that it was measured of."""
    shutil.rmtree(place / "out/records")
    shutil.rmtree(place / "out/features")


def one_of(place: Path, net: str, method: str) -> Row:
    rows = files.load_all(place / "out/rows")
    return next(row for row in rows if (row.inputs["net"], row.method) == (net, method))


def victim_of(place: Path, row: Row) -> Path:
    return place / "cache/victims" / f"{row.key[:32]}.safetensors"


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_a_study_that_the_command_line_knows(name: str) -> None:
    found = named(name)
    assert isinstance(found, Study) and found.about
    user = RunRequest(options=Options(seed="3"), overrides=("victim.epochs=1",))
    for grid in driver.requests(name, found, user):
        assert resolve(grid).setting.seed == 3 and resolve(grid).setting.victim.epochs == 1


def test_victims_are_kept_where_they_are_measured() -> None:
    for measures, through_clean, kept in (((), (), False), (("mi",), (), True), ((), ("mi",), True)):
        asked = replace(TOY_STUDY, measures=measures, through_clean=through_clean)
        assert [grid.keep_victims for grid in driver.requests("toy", asked, RunRequest())] == [kept, kept]


# What a study leaves


def test_rows_records_and_findings_are_there(finished: Path) -> None:
    rows, seen = files.load_all(finished / "out/rows"), records(finished)
    assert len(rows) == ROWS and all(row.status == "ok" for row in rows)
    names = {path.name for path in (finished / "out").iterdir()}
    assert names == {"rows", "records", "features", "gallery", "README.md", "toy.csv", "toy.png", "toy.svg"}
    random, clean = one_of(finished, "small", "random"), one_of(finished, "small", "clean")
    pairs = {(r.key, r.key) for r in rows} | {(clean.key, random.key)}
    assert {(s["record"]["net_row"], s["record"]["poison_row"]) for s in seen.values()} == pairs  # type: ignore[index]
    assert len(seen) == MEASURED


def test_features_are_those_of_the_net_on_the_poison(finished: Path) -> None:
    values = {}
    for stored in records(finished).values():
        record = stored["record"]
        values[record["net_row"], record["poison_row"]] = record["values"]  # type: ignore[index]
    random, clean = (one_of(finished, "small", name).key for name in ("random", "clean"))
    assert values[clean, clean]["value"] == 0 and values[clean, clean]["n"] == 68
    assert values[clean, clean]["classes"] == 4
    assert 0 < values[clean, random]["value"] != values[random, random]["value"] > 0


def test_nothing_says_where_it_was_computed(finished: Path) -> None:
    for path in (finished / "out").rglob("*.*"):
        assert str(finished).encode() not in path.read_bytes()


def test_victims_go_once_their_measures_exist(done: Path, trained: list[str]) -> None:
    kept = {victim_of(done, row) for row in files.load_all(done / "out/rows")}
    assert {*(done / "cache/victims").iterdir()} == kept
    shutil.rmtree(done / "out/records")
    assert study(done, "--minutes", "0") == 0  # nothing is measured
    assert {*(done / "cache/victims").iterdir()} == kept
    lacking = sys.modules["toy_measures"].TROUBLE
    lacking |= {"at": {3}, "error": RuntimeError}
    with pytest.raises(RuntimeError):
        study(done)
    assert {*(done / "cache/victims").iterdir()} == kept
    assert study(done) == 0 and not [*(done / "cache/victims").iterdir()] and trained == []


# What is computed again


def test_a_second_run_computes_nothing(done: Path, trained: list[str]) -> None:
    shutil.rmtree(done / "cache/victims")  # all is measured: nobody needs them
    before = {path: path.read_bytes() for path in (done / "out").rglob("*.*")}
    assert study(done) == 0
    assert trained == [] and measured() == 0
    assert {path: path.read_bytes() for path in (done / "out").rglob("*.*")} == before


def test_rows_and_records_of_an_older_schema_count(
    done: Path, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, named = files.load_all(done / "out/rows"), records(done)
    aged(done / "out", monkeypatch)
    assert records(done).keys() != named.keys()
    assert study(done) == 0
    for stored in named.values():
        del stored["inputs"]["features"]  # type: ignore[attr-defined]  # older ones are of exact features
    assert trained == [] and measured() == 0 and records(done) == named
    after = files.load_all(done / "out/rows")
    # by rows of today's schema alone
    told = dict.fromkeys([*NEWER[1:], *(name for columns in upgrade.SINCE.values() for name in columns)])
    assert [replace(row, **told) for row in after] == [replace(row, **told) for row in before]


@pytest.mark.parametrize("damage", ["gone", "torn", "of another revision"])
def test_only_the_record_that_is_lacking_is_made(
    done: Path, trained: list[str], caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    before, path = records(done), min((done / "out/records").iterdir())
    if damage == "gone":
        path.unlink()
    else:
        text = path.read_text()
        path.write_text(text[:40] if damage == "torn" else text.replace('"revision": 1', '"revision": 0'))
    assert study(done) == 0
    assert trained == [] and measured() == 1 and records(done) == before
    assert (f"{path.name} is not what was stored there" in caplog.text) == (damage == "torn")


@pytest.mark.parametrize("damage", ["gone", "damaged", "of another row"])
def test_a_victim_that_is_lacking_is_trained_again(done: Path, trained: list[str], damage: str) -> None:
    before, row, other = records(done), one_of(done, "small", "random"), one_of(done, "small", "clean")
    forget(done)
    path, rows = victim_of(done, row), (done / "out/rows", done / "rows-before")
    shutil.copytree(*rows)
    weights = path.read_bytes()
    if damage == "gone":
        path.unlink()
    elif damage == "damaged":
        path.write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    else:
        shutil.copy(victim_of(done, other), path)
    assert study(done) == 0
    assert trained == ["small random"] and measured() == MEASURED
    assert records(done) == before and not path.exists()  # it is measured
    assert files.load_all(rows[0]) == files.load_all(rows[1])


def test_a_victim_that_is_not_its_rows_is_an_error(
    done: Path, trained: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    row = one_of(done, "small", "random")
    path = files.path_of(row.key, done / "out/rows")
    path.write_text(
        path.read_text().replace(f'"test_acc": {row.test_acc},\n "balanced', '"test_acc": 0.123,\n "balanced')
    )
    (
        done / "out/records" / next(n for n, s in records(done).items() if s["record"]["net_row"] == row.key)
    ).unlink()  # type: ignore[index]
    shutil.rmtree(done / "out/features")
    for attempt in (1, 2):  # the wrong victim is never taken for the row's
        assert study(done) == 1
        assert len(trained) == attempt and measured() == 0
        assert f"accuracy is {row.test_acc}, expected 0.123" in capsys.readouterr().out
    assert files.load(path).test_acc == 0.123


def test_a_metric_of_another_revision_measures_again(done: Path, trained: list[str]) -> None:
    """Its code alone, wherever it lies, does not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METRICS, "shift", replace(METRICS["shift"], place="toy_measures:moved"))
        assert study(done) == 0 and measured() == 0
        patch.setitem(METRICS, "shift", Metric("toy_measures:shift", revision=2))
        assert study(done) == 0
    assert trained == [] and measured() == MEASURED and len(records(done)) == MEASURED


def test_measuring_goes_on_where_it_stopped(done: Path, trained: list[str]) -> None:
    before = records(done)
    shutil.rmtree(done / "out/records")
    trouble = sys.modules["toy_measures"].TROUBLE
    trouble |= {"at": {3}, "error": RuntimeError}
    with pytest.raises(RuntimeError):
        study(done)
    assert len(records(done)) == 2
    assert study(done) == 0
    assert records(done) == before and trained == [] and measured() == 3 + MEASURED - 2


class Dying(Exception):
    """A measure takes down the worker that is at it."""


class Mortal:
    """A pool of one worker in this process, which may die."""

    workers = 1

    def __init__(self, work: Callable[..., None], context: RunContext, *_: object) -> None:
        self.work, self.context = work, context

    def submit(self, job: MeasureJob) -> Future[None]:
        future: Future[None] = Future()
        try:
            future.set_result(self.work(self.context, job, lambda share, what: None))
        except Dying:
            future.set_exception(BrokenProcessPool())
        return future

    def close(self, *, now: bool) -> None:
        assert not now


@pytest.fixture
def dying(done: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """(calls) -> the study without records, whose worker dies in these calls of the measure."""
    shutil.rmtree(done / "out/records")
    monkeypatch.setattr(session, "Pool", Mortal)
    asked = replace(TOY_STUDY, measures=("shift", "norm"))
    monkeypatch.setattr(driver, "named", lambda name: asked)

    def run(*calls: int) -> int:
        sys.modules["toy_measures"].TROUBLE.update(at={*calls}, error=Dying)
        return study(done)

    return run


def test_a_measure_whose_worker_dies_is_tried_again(dying: Callable[..., int], trained: list[str]) -> None:
    """On a worker of its own, where others may not have left too little memory."""
    assert dying(2) == 0 and trained == [] and measured() == MEASURED + 1


def test_a_measure_that_kills_its_worker_is_named(
    done: Path, dying: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """All else is measured, of the same victim too."""
    assert dying(2, 3, MEASURED + 2) == 2
    (said,) = capsys.readouterr().err.splitlines()
    seen: list[Any] = [stored["record"] for stored in records(done).values()]
    assert sorted(one["measure"] for one in seen) == ["norm"] * ROWS + ["shift"] * (MEASURED - 1)
    own = [one for one in seen if one["measure"] == "shift" and one["net_row"] == one["poison_row"]]
    rows = files.load_all(done / "out/rows")
    (lacking,) = (row for row in rows if row.key not in {one["net_row"] for one in own})
    assert said.startswith("bench: a worker process died three times")
    assert f"shift of {lacking.inputs['net']}: {lacking.method} x none {lacking.key[:8]};" in said
    assert dying() == 0 and len(records(done)) == MEASURED + ROWS and measured() == MEASURED + 3


def test_what_cannot_be_measured_says_why(done: Path) -> None:
    shutil.rmtree(done / "out/records")
    sys.modules["toy_measures"].TROUBLE.update(at={1}, error=ValueError)
    assert study(done) == 0
    reasons = [stored["record"]["reason"] for stored in records(done).values()]  # type: ignore[index]
    assert sorted(reasons, key=str) == ["3 images, expected more", None, None, None]
    assert "3 images, expected more" in (done / "out/README.md").read_text()


def test_copies_of_images_are_a_reason_and_end_no_study(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(done / "out/records")
    for features in (done / "out").glob("features*"):
        shutil.rmtree(features)
    monkeypatch.setattr("bench.studies.measure.subject", copied)
    assert study(done) == 0
    reasons = {stored["record"]["reason"] for stored in records(done).values()}  # type: ignore[index]
    assert reasons == {"3 of 9 images are copies"}


def copied(*_: object) -> None:
    raise Copies("3 of 9 images are copies")


def test_without_time_nothing_is_begun(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(done / "out/records")
    assert study(done, "--minutes", "0") == 0
    assert measured() == 0 and f"{MEASURED} cells or measures are left" in capsys.readouterr().out
    assert (done / "out" / "README.md").read_text().count(f"**Unfinished: {MEASURED} cells or measures") == 1


# Kept features


def test_kept_features_need_no_victim_no_poison_and_no_images(done: Path, trained: list[str]) -> None:
    before = records(done)
    shutil.rmtree(done / "out/records")
    shutil.rmtree(done / "cache")
    shutil.rmtree(done / "quad")
    assert main(["study", "toy", "--kept", "--out", str(done / "out")]) == 0
    assert trained == [] and measured() == MEASURED and records(done) == before


def test_an_estimator_that_changed_is_measured_without_victims(done: Path, trained: list[str]) -> None:
    shutil.rmtree(done / "cache/victims")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METRICS, "shift", Metric("toy_measures:shift", revision=2))
        assert study(done) == 0
    assert trained == [] and measured() == MEASURED
    assert {stored["inputs"]["revision"] for stored in records(done).values()} == {2}  # type: ignore[index]


@pytest.mark.parametrize("damage", ["gone", "torn", "changed", "of another net"])
def test_features_that_are_not_whole_are_computed_again(
    done: Path,
    trained: list[str],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    damage: str,
) -> None:
    before, kept = records(done), sorted((done / "out/features").iterdir())
    shutil.rmtree(done / "out/records")
    content = kept[0].read_bytes()
    if damage == "gone":
        kept[0].unlink()
    elif damage == "torn":
        kept[0].write_bytes(content[: len(content) // 2])
    elif damage == "changed":
        with np.load(kept[0]) as parts:
            changed = {name: parts[name] for name in parts.files}
        changed["halves"] = changed["halves"][::-1]
        np.savez_compressed(kept[0], **changed)
    else:
        shutil.copy(next(path for path in kept if path.name[:16] != kept[0].name[:16]), kept[0])
    assert main(["study", "toy", "--kept", "--out", str(done / "out")]) == 2
    assert "features of" in (said := capsys.readouterr().err) and "are not kept whole" in said
    assert study(done) == 0
    assert trained == [] and records(done) == before
    assert (f"{kept[0].name} is not what was stored there" in caplog.text) == (damage != "gone")


def test_features_of_images_that_changed_nothing_are_no_reason_to_look_at_images(done: Path) -> None:
    """A measure of images is left as it is where there are none, and said to be left."""
    shutil.rmtree(done / "out/records")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METRICS, "shift", replace(METRICS["shift"], of_images=True))
        assert main(["study", "toy", "--kept", "--out", str(done / "out")]) == 0
    assert measured() == 0 and f"{MEASURED} cells or measures" in (done / "out/README.md").read_text()


# What the user may ask


def test_a_field_of_a_method_reaches_the_grids_that_have_it(done: Path, trained: list[str]) -> None:
    assert study(done, "--set", "random.eps=4/255", "--set", "seed=0") == 0
    assert trained == ["small random"]
    rows = files.load_all(done / "out/rows")
    assert {row.linf and round(row.linf * 255) for row in rows if row.method == "random"} == {4, 8}


BAD = {
    "study": (("nonsense",), "unknown study 'nonsense'"),
    "plugin of no grid": (("toy", "--set", "tap.steps=3"), "unknown field or chosen plugin 'tap'"),
    "field": (("toy", "--set", "random.steps=3"), "unknown field of random 'steps'"),
}


@pytest.mark.parametrize(("asked", "says"), BAD.values(), ids=BAD.keys())
def test_bad_input(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: tuple[str, ...], says: str
) -> None:
    assert main(["study", *asked, "--out", str(tmp_path / "out")]) == 2
    assert says in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_what_a_grid_chooses_is_not_the_users(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = Study("", lambda: [Variation("clean", "none", Options(eps="2/255"))], toy_analysis)
    monkeypatch.setattr(sys.modules["declared:bench.studies.toy.study"], "STUDY", strict)
    assert main(["study", "toy", "--eps", "4/255", "--out", str(tmp_path / "out")]) == 2
    assert "--eps 4/255: study toy chooses it itself, here 2/255" in capsys.readouterr().err


# Depth


def layers_in_line(net: nn.Module) -> int:
    """Convolutions and linear layers, without those of shortcuts."""
    kinds = nn.Conv2d | nn.Linear
    return sum(isinstance(m, kinds) and "downsample" not in name for name, m in net.named_modules())


def test_depth_is_the_number_of_layers() -> None:
    found = {}
    for name in depth.LAYERS:
        shape = {"channels": 1, "classes": 2, "size": 16, "precision": "fp32", "seed": 0}
        found[name] = layers_in_line(build(name, **shape, device=torch.device("cpu")))  # type: ignore[arg-type]
    assert found == depth.LAYERS and [*found.values()] == sorted(found.values())


def made_up(net: str, method: str, acc: float, rep: int = 0) -> Row:
    """rep: of the poison; of clean, of the victim."""
    stem = "none: features are logits" if net == "linear" else "3x3"
    inputs = {
        "net": net,
        "surrogate": "small",
        "victim": {"epochs": 3},
        "data": {"train_images": 40},
        "method": {"name": method},
        "defense": {"name": "none"},
    }
    return Row(
        key=f"{net}/{method}/{rep}",
        setting=net,
        data="toy",
        synthetic=False,
        method=method,
        defense="none",
        poison_rep=0 if method == "clean" else rep,
        rep=rep if method == "clean" else 0,
        profile="quick",
        inputs=inputs,
        control=method in ("clean", "random"),
        stem=stem,
        classes=10,
        test_acc=acc,
    )


def mi_record(net: Row, poison: Row, mi: float, ceiling: float = 0.5) -> Record:
    values = {"value": mi, "ceiling": ceiling, "gap": ceiling - mi, "share": 1 - mi / ceiling}
    return Record("smi-noisy", net.key, poison.key, values)


def deeper_is_worse(reps: int = 1) -> tuple[list[Row], list[Record]]:
    """Under em, with depth: the accuracy gap grows, the MI gap falls in own nets, grows in clean-trained."""

    def record(net: Row, poison: Row, mi: float) -> Record:
        return mi_record(net, poison, mi)

    rows, records = [], []
    for place, net in enumerate(depth.LAYERS):
        first = made_up(net, "clean", 0.9)
        for rep in range(reps):
            clean = made_up(net, "clean", 0.9, rep)
            em = made_up(net, "em", 0.8 - 0.1 * place + 0.01 * rep, rep)
            rows += [clean, em]
            records += [record(clean, clean, 0.5), record(em, em, 0.3 + 0.02 * place)]
            records += [record(first, em, 0.4 - 0.03 * place)]
    return rows, records


def test_depth_finds_what_was_put_in() -> None:
    found = depth.analyse(*deeper_is_worse())
    cells = found.tables["cells"].set_index(["net", "method"])
    em = cells.loc["resnet18-slim", "em"]
    place = [*depth.LAYERS].index("resnet18-slim")
    assert em["accuracy_gap"] == pytest.approx(0.1 + 0.1 * place)
    assert em["mi_gap"] == pytest.approx(0.2 - 0.02 * place)
    assert em["mi_gap_clean_net"] == pytest.approx(0.1 + 0.03 * place)
    assert em["accuracy_lost"] == pytest.approx(em["accuracy_gap"] / (0.9 - 0.1))
    assert em["mi_lost"] == pytest.approx(em["mi_gap"] / 0.5)
    assert pd.isna(em["accuracy_gap_low"])
    rho = {name: value.rho for name, value in depth.correlations(found.tables["cells"])["em"].items()}
    assert [*rho.values()] == pytest.approx([1, 1, -1, 1, -1, 1])
    assert "features of linear are its logits" in found.text and "n = 8" in found.text
    assert "descriptive" not in " ".join(found.tables["depth"].astype(str).to_numpy().ravel())
    assert {*cells.loc["linear", "features"]} == {"logits"}


def test_the_answer_comes_first_and_follows_from_the_numbers() -> None:
    found = depth.analyse(*deeper_is_worse()).text
    answer = found.partition("## Answer")[2].partition("##")[0]
    said = dict(line[2:].split(": ", 1) for line in answer.splitlines() if line.startswith("- "))
    held, fell = (
        "Deeper nets lose a larger share of their accuracy",
        "Nets that lose more accuracy lose more MI",
    )
    assert said[held].startswith("held for `em` (1.00") and said[fell].startswith(
        "did not hold for `em` (-1.00"
    )
    few = [row for row in deeper_is_worse()[0] if row.inputs["net"] in [*depth.LAYERS][:4]]
    assert "descriptive for `em`" in depth.analyse(few, deeper_is_worse()[1]).text


def test_depth_of_few_nets_is_descriptive() -> None:
    rows, records = deeper_is_worse()
    few = [row for row in rows if row.inputs["net"] in [*depth.LAYERS][:4]]
    found = depth.analyse(few, records)
    assert "n = 4, descriptive" in found.text
    assert all("descriptive" in value for value in found.tables["depth"].iloc[0][1:])


def test_poisons_give_intervals_and_victims_of_one_none() -> None:
    cells = depth.analyse(*deeper_is_worse(reps=3)).tables["cells"].set_index(["net", "method"])
    em = cells.loc["linear", "em"]
    assert em["n"] == 3 and em["accuracy_gap"] == pytest.approx(0.09)
    reach = 4.302653 * 0.01 / 3**0.5  # Student's t, two degrees of freedom
    assert em["accuracy_gap_high"] - em["accuracy_gap"] == pytest.approx(reach, rel=1e-5)
    assert em["mi_gap_low"] == pytest.approx(em["mi_gap"]) == em["mi_gap_high"]
    rows, records = deeper_is_worse(reps=3)
    lone = [replace(own, poison_rep=0, rep=own.poison_rep + own.rep) for own in rows]
    found = depth.analyse(lone, records)
    em = found.tables["cells"].set_index(["net", "method"]).loc["linear", "em"]
    assert (em["n"], em["poisons"]) == (3, 1) and pd.isna(em["accuracy_low"])
    assert (
        "One poison a method: no order" in found.text and "no order" not in depth.analyse(rows, records).text
    )


def test_a_victim_that_did_not_learn_is_marked_and_compared_with_nothing() -> None:
    rows, records = deeper_is_worse(reps=2)
    asleep = {own.key for own in rows if own.method == "em" and own.inputs["net"] == "mlp2-slim"}
    found = depth.analyse(
        [replace(own, train_acc=0.11 if own.key in asleep else 0.9) for own in rows], records
    )
    cells = found.tables["cells"].set_index(["net", "method"])
    em = cells.loc["mlp2-slim", "em"]
    assert not pd.isna(em["accuracy"]) and pd.isna(em["accuracy_gap"]) and pd.isna(em["mi_lost"])
    assert (
        "em in mlp2-slim" in found.text and "‡" in found.text and cells.loc["mlp3-slim", "em"]["doubt"] == ""
    )
    assert [v.n for v in depth.correlations(found.tables["cells"])["em"].values()] == [7] * 6


def test_one_repetition_has_the_estimators_own_intervals() -> None:
    rows, records = deeper_is_worse()
    wide = [replace(own, values=own.values | interval_of(own)) for own in records]
    found = depth.analyse(rows, wide)
    cells = found.tables["cells"].set_index(["net", "method"])
    em = cells.loc["linear", "em"]
    assert (em["mi_low"], em["mi_high"]) == pytest.approx((0.27, 0.33))
    assert em["mi_gap_high"] - em["mi_gap"] == pytest.approx(0.02)
    assert em["mi_lost_high"] - em["mi_lost"] == pytest.approx(0.04)
    assert em["mi_lost_clean_net_high"] - em["mi_lost_clean_net"] == pytest.approx(0.04)
    assert pd.isna(em["accuracy_gap_low"])
    assert "0.300 [0.270, 0.330]" in found.text
    repeated, more = deeper_is_worse(reps=3)
    several = depth.analyse(repeated, [replace(own, values=own.values | interval_of(own)) for own in more])
    em = several.tables["cells"].set_index(["net", "method"]).loc["linear", "em"]
    assert em["mi_low"] == pytest.approx(0.3) == em["mi_high"]  # over repetitions, which are alike


def interval_of(record: Record) -> dict[str, float]:
    value = record.values["value"]
    assert isinstance(value, float)
    gap = {"gap_low": 0.48 - value, "gap_high": 0.52 - value}
    return {"low": value - 0.03, "high": value + 0.03, **gap, "share_low": 0.0, "share_high": 0.08}


def test_the_figure_of_depth_shows_what_nets_can_be_compared_by() -> None:
    found = depth.analyse(*deeper_is_worse())
    lost = found.tables["cells"].query("method == 'em'")
    for axes, column in zip(found.figures["by-depth"].axes, ("accuracy_lost", "mi_lost"), strict=False):
        assert [*axes.lines[0].get_ydata()] == pytest.approx([*(100 * lost[column])])


def test_what_is_lacking_is_said_and_is_no_number() -> None:
    rows, records = deeper_is_worse()
    failed = Row(
        **{**vars(rows[1]), "status": "failed", "reason": "Traceback\nValueError: broke", "test_acc": None}
    )
    constant, bound = records[5], records[8]  # of em through clean's mlp2 and mlp3
    records[5] = replace(constant, values={}, reason="constant features")
    records[8] = replace(bound, values={"value": None, "bound": "certified up to 1.3"})
    found = depth.analyse([rows[0], failed, *rows[2:]], records)
    assert "linear, em, none: failed, ValueError: broke" in found.text
    assert "mlp2-slim, em, none, clean-trained net: constant features" in found.text
    assert "mlp3-slim, em, none, clean-trained net: a bound only: certified up to 1.3" in found.text
    cells = found.tables["cells"].set_index(["net", "method"])
    assert ("linear", "em") not in cells.index and pd.isna(cells.loc["mlp2-slim", "em"]["mi_gap_clean_net"])
    assert [v.n for v in depth.correlations(found.tables["cells"])["em"].values()] == [7, 7, 7, 5, 7, 5]


def test_over_nets_losses_are_shares() -> None:
    """A poison that takes half of everything on every net goes with no depth, whatever there was to lose."""
    rows, records = [], []
    for place, net in enumerate(depth.LAYERS):
        above, mi = 0.2 + 0.08 * place, 0.05 / (1 + place)
        clean, em = made_up(net, "clean", 0.1 + above), made_up(net, "em", 0.1 + above / 2)
        rows += [clean, em]
        values = ((clean, clean, mi), (em, em, mi / 2), (clean, em, mi / 2))
        records += [mi_record(n, p, value, ceiling=mi) for n, p, value in values]
    cells = depth.analyse(rows, records).tables["cells"]
    ours = cells[cells["method"] == "em"]
    for column in ("accuracy_lost", "mi_lost", "mi_lost_clean_net"):
        assert [*ours[column]] == pytest.approx([0.5] * len(depth.LAYERS))


def test_a_victim_without_clean_keeps_its_own_figures() -> None:
    own = made_up("mlp2-slim", "em", 0.5)
    (cell,) = depth.analyse([own], [mi_record(own, own, 0.3)]).tables["cells"].to_dict("records")
    assert (cell["mi"], cell["mi_gap"], cell["accuracy_gap"]) == (0.3, pytest.approx(0.2), None)


def test_within_a_net_methods_are_compared() -> None:
    rows, records = [], []
    clean = made_up("mlp2-slim", "clean", 0.9)
    for place, method in enumerate(("clean", "random", "em", "tap", "mi-ue")):
        own = clean if method == "clean" else made_up("mlp2-slim", method, 0.9 - 0.1 * place)
        rows.append(own)
        pairs = [(own, own, 0.5 - 0.1 * place)] + [(clean, own, 0.5 + 0.1 * place)] * (own is not clean)
        records += [mi_record(*pair) for pair in pairs]
    found = depth.within_nets(depth.analyse(rows, records).tables["cells"])
    assert [(v.n, v.rho) for v in found["mlp2-slim"].values()] == [
        (3, pytest.approx(1)),
        (3, pytest.approx(-1)),
    ]


def test_depth_of_nothing_is_no_error() -> None:
    assert depth.analyse([], []).figures == {}
