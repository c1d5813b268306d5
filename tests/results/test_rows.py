"""Rows survive the disk as they were, and what is no row of this suite is refused in one line."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest

from bench.cli.main import main
from bench.core.errors import BadInput
from bench.core.files import write_atomically
from bench.results.rows import SCHEMA, Row, describe, load, load_all, save
from support.rows import keyed

RESULTS = Path(__file__).parent.parent.parent / "results"
ROW = keyed(
    Row(
        key="0123456789abcdef" * 4,
        setting="fedcba9876543210" * 4,
        data="glyphs",
        synthetic=True,
        classes=10,
        control=False,
        method="em",
        defense="none",
        poison_rep=0,
        rep=1,
        profile="quick",
        inputs={"net": "resnet18", "victim": {"lr": 1, "milestones": [0.5, 0.75]}, "mi": {"images": 100}},
        test_acc=0.1 + 0.2,  # a float whose shortest text is long
        curve=[{"epoch": 1, "val_acc": 0.25, "test_acc": 1 / 3}],
        craft={"steps": 10, "loss": 0.5, "norm": "linf", "note": "Grüße\n", "found": None, "met": True},
        code={"method": "0" * 16, "defense": "f" * 16},
        environment={"device": "cpu", "threads": 2},
        seeds={"base": 2**63 - 1},
    )
)


def test_load_of_save_is_the_row(tmp_path: Path) -> None:
    path = save(ROW, tmp_path)
    assert load(path) == ROW
    assert load_all(tmp_path) == [ROW]


def test_same_row_same_bytes(tmp_path: Path) -> None:
    before = save(ROW, tmp_path).read_bytes()
    assert save(load(save(ROW, tmp_path)), tmp_path).read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_never_written(tmp_path: Path, value: float) -> None:
    for row in (replace(ROW, mi=value), replace(ROW, curve=[{"val_acc": value}])):
        with pytest.raises(ValueError, match="JSON"):
            save(row, tmp_path)
    assert not list(tmp_path.iterdir())


def test_rows_come_in_the_order_of_their_keys(tmp_path: Path) -> None:
    rows = [keyed(replace(ROW, rep=rep, inputs=ROW.inputs | {"rep": rep})) for rep in range(5)]
    for row in rows:
        save(row, tmp_path)
    assert [row.key for row in load_all(tmp_path)] == sorted(row.key for row in rows)
    assert load_all(tmp_path / "absent") == []


def test_a_key_is_the_content_s_and_the_file_s(tmp_path: Path) -> None:
    """A row that somebody changed, or copied beside itself, is none: it would count as another repetition."""
    path = save(ROW, tmp_path)
    copy = tmp_path / "copy.json"
    copy.write_bytes(path.read_bytes())
    with pytest.raises(
        BadInput, match=rf"^copy\.json has the row that {path.name} should have, as that does"
    ):
        load_all(tmp_path)
    path.unlink()
    with pytest.raises(BadInput, match=rf"^copy\.json has the row that {path.name} should have: one file"):
        load_all(tmp_path)
    for column in ("key", "setting"):
        said = damaged(tmp_path, asdict(ROW) | {column: "a" * 64})
        assert said == f"a.json: {column} is {'a' * 64}, expected {getattr(ROW, column)} of the inputs"
    changed = json.loads(json.dumps(asdict(ROW)))
    changed["inputs"]["victim"]["epochs"] = 99
    assert damaged(tmp_path, changed).startswith(f"a.json: key is {ROW.key}, expected ")


def test_a_name_that_is_there_twice_is_refused_at_any_depth(tmp_path: Path) -> None:
    text = json.dumps(asdict(ROW))
    for once, name in (('"test_acc": ', "test_acc"), ('"train_images": ', "train_images")):
        for twice in (
            f'"{name}": 0, {once}',
            f'"{name}"  \n : 0, {once}',
            f'"{name[:-1]}\\u0063": 0, {once}',
        ):
            (tmp_path / "a.json").write_text(text.replace(once, twice.replace("_a\\u0063", "_ac\\u0063"), 1))
            with pytest.raises(BadInput, match=rf"^a\.json has '{name}' twice, expected each name once$"):
                load(tmp_path / "a.json")
            if name == "train_images":
                break


def test_text_that_looks_like_a_name_is_text(tmp_path: Path) -> None:
    row = replace(ROW, stem='{"key": 1, "key" : 2}', rerun='":\\":":')
    assert load(save(row, tmp_path)) == row


def test_what_nests_without_end_is_refused(tmp_path: Path) -> None:
    for deep in (40, 5000, 200_000):
        for text in ("[" * deep + "]" * deep, '{"a":' * deep + "1" + "}" * deep):
            (tmp_path / "a.json").write_text(f'{{"schema": {SCHEMA}, "inputs": {text}}}')
            with pytest.raises(BadInput, match=r"^a\.json has over 32 levels, expected fewer$"):
                load(tmp_path / "a.json")


@pytest.mark.parametrize("number", [SCHEMA + 1, 0, None, "1", 1.0, True])
def test_another_schema_is_refused(tmp_path: Path, number: object) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(asdict(ROW) | {"schema": number}))
    with pytest.raises(BadInput, match=rf"a\.json has row schema {number!r}, this suite reads 1 to {SCHEMA}"):
        load(path)


def test_an_unknown_column_is_refused_and_one_that_lacks(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(asdict(ROW) | {"accuracy": 1, "acc": 1}))
    with pytest.raises(BadInput, match=r"a\.json has unknown columns acc, accuracy"):
        load(path)
    path.write_text(json.dumps({name: value for name, value in asdict(ROW).items() if name[:3] != "mi_"}))
    with pytest.raises(BadInput, match=r"a\.json lacks columns mi_ceiling, mi_ceiling_high, mi_ceiling_low"):
        load(path)


@pytest.mark.parametrize(
    "text", ["", "[1]", "null", "{", '{"schema": 2, "mi": NaN}', '"\xff"', '{"schema": 1}', '{"schema": 2}']
)
def test_what_is_no_row_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(BadInput, match=r"a\.json (is not a row|lacks columns)") as refused:
        load_all(tmp_path)
    assert "\n" not in str(refused.value)


def test_half_a_row_is_refused(tmp_path: Path) -> None:
    path = save(ROW, tmp_path)
    path.write_text(path.read_text()[:100])
    with pytest.raises(BadInput, match=f"{path.name} is not a row"):
        load_all(tmp_path)


# Every column

TEXT, DIGEST = (3, True, ["a"], {}), (3, "", "abc", "A" * 64, "a" * 65, ["a"])
FLAG, INDEX, COUNT = ("yes", 1, None), ("1", 0.5, -1, True, None), ("1", 0.5, 0, True, [])
SHARE, NUMBER, POSITIVE = ("0.5", 2.5, -0.1, True, []), ("1", True, [], {}), ("1", True, -0.5, {})
NAMES, GAPS = ("em", 3, []), ("mi_ceiling", "mi_gap", "mi_shown", "mi_shown_gap")
WRONG: dict[str, tuple[object, ...]] = {
    **dict.fromkeys(("key", "setting", "published", "mask", "legacy_key"), DIGEST),
    **dict.fromkeys(("data", "method", "defense", "profile"), (*TEXT, "", None)),
    **dict.fromkeys(("reason", "stem", "mi_reason", "rerun"), TEXT),
    **dict.fromkeys(("poison_rep", "rep"), INDEX),
    **dict.fromkeys(("synthetic", "control"), FLAG),
    **dict.fromkeys(("classes", "attempt", "mi_images", "mi_rank", "mi_slices"), COUNT),
    **dict.fromkeys(("test_acc", "balanced_acc", "chance", "train_acc", "linf", "l0"), SHARE),
    **dict.fromkeys((f"{norm}_{of}" for norm in ("linf", "l0") for of in ("median", "p95", "max")), SHARE),
    **dict.fromkeys(("low_share", "class_share"), SHARE),
    **dict.fromkeys((f"{name}_{of}" for name in ("psnr", "ssim") for of in ("median", "p05", "min")), NUMBER),
    **dict.fromkeys(("val_selected_acc", "peak_acc"), SHARE),
    **dict.fromkeys(("mi", "mi_null", "mi_low", "mi_high", "psnr", "ssim"), NUMBER),
    **dict.fromkeys((f"{name}{end}" for name in GAPS for end in ("", "_low", "_high")), NUMBER),
    **dict.fromkeys(("mi_share", "mi_labels", "mi_shown_ceiling"), NUMBER),
    **dict.fromkeys(
        ("l2", "l2_median", "l2_p95", "l2_max", "craft_seconds", "train_seconds", "mi_seconds"), POSITIVE
    ),
    **dict.fromkeys(("craft_peak_mb", "train_peak_mb"), POSITIVE),
    "mi_estimator": (*TEXT, ""),
    "status": ("", "fine", 3, None),
    "finished": (*TEXT, None),
    "inputs": (*NAMES, {}, {"method": {"name": "em"}}),
    **dict.fromkeys(("robust_acc", "robust_radius"), SHARE),
    "robust_images": COUNT,
    "class_acc": ("em", 0.5, {}, [1.5], ["em"], [[0.5]], None),
    "curve": ("em", 3, {}, [0.5], [{"epoch": 1, "val_acc": 2.5, "test_acc": 0.5}], [{"epoch": 1}], None),
    "defense_facts": (*NAMES, {"a": [1]}, None),
    "craft": (*NAMES, {"a": [1]}, None),
    "seeds": (*NAMES, {"base": "7"}, {"base": 0.5}),
    "code": (*NAMES, {"method": "main"}, {"method": 3}),
    "environment": (*NAMES, {"device": None}, {"device": ["cpu"]}),
    "craft_environment": (*NAMES, {"threads": 0.5}),
}
INSIDE: dict[str, tuple[object, str]] = {
    "inputs.net": (3, "text"),
    "inputs.data.train_images": ("all", "whole number of at least 1"),
    "inputs.victim.epochs": (0, "whole number of at least 1"),
    "inputs.victim.milestones[0]": ("half", "number in [0, 1]"),
    "inputs.share": (80, "number in [0, 1]"),
    "inputs.method.eps": (8, "number in [0, 1]"),
    "inputs.method.name": ("", "text"),
    "inputs.defense.revision": (0, "whole number of at least 1"),
    "curve[0].val_acc": (2.5, "number in [0, 1]"),
}


def damaged(folder: Path, values: dict[str, Any]) -> str:
    """The line that refuses a row."""
    (folder / "a.json").write_text(json.dumps(values))
    with pytest.raises(BadInput) as refused:
        load(folder / "a.json")
    said = str(refused.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize("column", [field.name for field in fields(Row) if field.name != "schema"])
def test_a_wrong_value_is_named_with_its_column(tmp_path: Path, column: str) -> None:
    for value in WRONG[column]:
        said = damaged(tmp_path, asdict(ROW) | {column: value})
        assert said.startswith(f"a.json: {column}") and (" is " in said and "expected " in said)
        row = replace(ROW, **{column: value})
        with pytest.raises(BadInput, match=column):
            save(row, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("place", INSIDE)
def test_a_wrong_value_inside_a_column_is_named(tmp_path: Path, place: str) -> None:
    value, expected = INSIDE[place]
    values = json.loads(json.dumps(asdict(ROW)))
    inner, steps = values, place.replace("[0]", ".0").split(".")
    for step in steps[:-1]:
        inner = inner[int(step) if step.isdigit() else step]
    inner[int(steps[-1]) if steps[-1].isdigit() else steps[-1]] = value
    assert damaged(tmp_path, values) == f"a.json: {place} is {value!r}, expected {expected}"
    if "[" not in steps[-1] and not steps[-1].isdigit() and steps[-1] != "revision":
        del inner[steps[-1]]
        assert damaged(tmp_path, values) == f"a.json: {place} is absent, expected {expected}"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"test_acc": None}, "test_acc is None, expected a value, since status is ok"),
        ({"status": "failed"}, "reason is None, expected a value, since status is failed"),
        ({"method": "tap"}, "method is 'tap', expected 'em' as in inputs"),
        ({"rep": 5}, "rep is 5, expected 1 as in inputs"),
    ],
)
def test_what_cannot_be_true_of_one_row_is_refused(
    tmp_path: Path, changed: dict[str, object], said: str
) -> None:
    assert damaged(tmp_path, asdict(ROW) | changed) == f"a.json: {said}"


def test_a_number_that_no_float_holds_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(asdict(ROW)).replace('"mi": null', '"mi": 1e999'))
    with pytest.raises(BadInput, match=r"a\.json: mi is not finite, expected a finite number"):
        load(tmp_path / "a.json")


@pytest.mark.parametrize("verb", ["table", "report", "leaderboard", "check", "claims", "run", "study"])
def test_every_command_refuses_it_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("out/rows").mkdir(parents=True)
    Path("out/rows/a.json").write_text(json.dumps(asdict(ROW) | {"test_acc": 2.5}))
    more = {
        "check": ["out"],
        "claims": ["--rows", "out"],
        "run": ["--out", "out", "--cache", "cache"],
        "study": ["depth", "--out", "out", "--cache", "cache"],
    }
    assert main([verb, *more.get(verb, ["out"])]) == 2
    said = capsys.readouterr()
    assert said.err == "bench: out: a.json: test_acc is 2.5, expected number in [0, 1] or null\n"
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "rows", "a.json"]


@pytest.mark.parametrize("verb", ["table", "report", "leaderboard", "check"])
def test_a_fifo_among_rows_is_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    save(ROW, tmp_path / "rows")
    os.mkfifo(tmp_path / "rows" / "a.json")
    assert main([verb, str(tmp_path), *(["--write", str(tmp_path / "b")] if verb == "check" else [])]) == 2
    assert "a.json is a FIFO, expected a regular file" in capsys.readouterr().err


# What is made of the columns


def test_the_data_dictionary_and_the_schema_are_those_of_the_model(tmp_path: Path) -> None:
    """They are written by describe(Path("results")) of bench.results.rows."""
    describe(tmp_path)
    for name in ("columns.md", "rows.schema.json"):
        assert (RESULTS / name).read_bytes() == (tmp_path / name).read_bytes()
    assert all(f"| {field.name} | " in (RESULTS / "columns.md").read_text() for field in fields(Row))


# Writing


def test_an_interrupted_write_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(ROW, tmp_path)

    def interrupted(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    for row in (replace(ROW, attempt=2), keyed(replace(ROW, rep=9, inputs=ROW.inputs | {"rep": 9}))):
        with pytest.raises(KeyboardInterrupt):
            save(row, tmp_path)
    assert list(tmp_path.iterdir()) == [path]
    assert load(path) == ROW


def test_what_a_killed_write_left_is_no_row(tmp_path: Path) -> None:
    path = save(ROW, tmp_path)
    (tmp_path / f".{path.name}.123.tmp").write_text(path.read_text()[:99])
    assert load_all(tmp_path) == [ROW]


def test_text_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "table.md"
    write_atomically(path, "long ± text\n")
    write_atomically(path, "short\n")
    assert path.read_bytes() == b"short\n"
    assert list(tmp_path.iterdir()) == [path]
