"""--log gives finished rows to other tools; what they do wrong costs no row."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from bench.cli.main import main
from bench.core.errors import BadInput
from bench.results.rows import Row, load_all
from bench.runner import logs
from support.commands import command, refused
from support.rows import row

CURVE = [{"epoch": 1.0, "val_acc": 0.3, "test_acc": 0.4}, {"epoch": 2.0, "val_acc": 0.5, "test_acc": 0.6}]
ROW = row("em", test_acc=0.25, mi=0.5, curve=CURVE)


class Run:
    """A run of Weights & Biases, as far as it is used."""

    def __init__(self, **given: Any) -> None:
        self.given, self.logged, self.summary, self.ended = (
            given,
            list[dict[str, Any]](),
            dict[str, Any](),
            False,
        )

    def log(self, values: dict[str, Any]) -> None:
        self.logged.append(values)

    def finish(self) -> None:
        self.ended = True


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a module in the place of a library."""

    def put(name: str, **what: Any) -> None:
        module: Any = types.ModuleType(name)
        vars(module).update(what)
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.delitem(sys.modules, f"bench.runner.logs.{name}", raising=False)

    return put


def told(name: str, out: Path, *rows: Row) -> list[str]:
    """What is said while rows are given to a tool."""
    said: list[str] = []
    tell = logs.opened(logs.chosen(name), out, said.append)
    for each in rows:
        tell(each)
    return said


def test_tensorboard_has_the_curve_and_the_measures(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert not told("tensorboard", tmp_path, ROW)
    (folder,) = (tmp_path / "logs").iterdir()
    seen = EventAccumulator(str(folder)).Reload()
    assert [(event.step, round(event.value, 4)) for event in seen.Scalars("curve/val_acc")] == [
        (1, 0.3),
        (2, 0.5),
    ]
    assert seen.Scalars("test_acc")[0].value == pytest.approx(0.25) and seen.Scalars("mi")[0].value == 0.5
    assert "victim.epochs" in str(seen.Tensors("inputs/text_summary")[0].tensor_proto)


def test_weights_and_biases_has_a_run_for_each_row(tmp_path: Path, fake: Any) -> None:
    runs: list[Run] = []

    def init(**given: Any) -> Run:
        runs.append(Run(**given))
        return runs[-1]

    fake("wandb", init=init)
    assert not told("wandb", tmp_path, ROW, row("tap"))
    first = runs[0]
    assert len(runs) == 2 and all(run.ended for run in runs)
    assert first.given["id"] == ROW.key[:16] and first.given["config"]["victim.epochs"] == 30
    assert first.logged[1] == {"epoch": 2.0, "curve/val_acc": 0.5, "curve/test_acc": 0.6}
    assert first.summary == {"test_acc": 0.25, "mi": 0.5}


def test_mlflow_has_a_run_for_each_row(tmp_path: Path, fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    seen: dict[str, Any] = {"metrics": {}}

    class Started:
        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None:
            seen["ended"] = True

    def start_run(run_name: str, tags: dict[str, str]) -> Started:
        seen["tags"] = tags
        return Started()

    fake(
        "mlflow",
        set_tracking_uri=lambda uri: seen.update(uri=uri),
        set_experiment=lambda name: None,
        start_run=start_run,
        log_params=lambda values: seen.update(params=values),
        log_metric=lambda name, value, step: seen["metrics"].setdefault(name, []).append((step, value)),
        log_metrics=seen["metrics"].update,
    )
    assert not told("mlflow", tmp_path, ROW)
    assert seen["uri"] == f"sqlite:///{tmp_path}/logs/mlflow.db" and seen["tags"]["key"] == ROW.key
    assert seen["metrics"]["curve_val_acc"] == [(1, 0.3), (2, 0.5)] and seen["metrics"]["mi"] == 0.5
    assert (
        all(isinstance(value, str) and len(value) <= 500 for value in seen["params"].values())
        and seen["ended"]
    )


def test_a_tool_that_fails_is_told_of_once(tmp_path: Path, fake: Any) -> None:
    def init(**given: Any) -> None:
        raise ConnectionError("no account")

    fake("wandb", init=init)
    assert told("wandb", tmp_path, ROW, ROW) == ["log wandb: no account; it is left out, the rows are not"]


def test_a_run_tells_what_it_measured_and_nothing_twice(place: Path, fake: Any, capsys: Any) -> None:
    names: list[str] = []

    def init(**given: Any) -> Run:
        names.append(given["name"])
        return Run(**given)

    fake("wandb", init=init)
    asked = command(place, "clean,random", "none", "--log", "wandb")
    assert main(asked) == 0 == main(asked)
    rows = load_all(place / "out" / "rows")
    assert sorted(names) == sorted(map(logs.name, rows)) and len(rows) == 2


def test_without_its_library_a_tool_is_refused_before_anything(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.delitem(sys.modules, "bench.runner.logs.wandb", raising=False)
    said = refused(command(place, "clean", "none", "--log", "wandb"), capsys)
    assert said == "bench: --log wandb needs wandb, expected after: pip install 'ue-bench[wandb]'"
    assert not (place / "out").exists()
    with pytest.raises(BadInput, match="unknown log 'wandbb'; did you mean 'wandb'"):
        logs.chosen("wandbb")
