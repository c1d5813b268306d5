"""What is read is a regular file of a stated size, and JSON of which nothing is guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.core.errors import BadInput
from bench.core.stored import decoded, plain, read, read_or_say
from support.hostile import PATIENCE, SPECIAL, plant, within


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_regular_file_is_refused_and_never_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    plant(Path(kind), kind)
    with within(PATIENCE), pytest.raises(BadInput, match=f"{kind}.*, expected "):
        read_or_say(Path(kind), "a file")


def test_a_link_to_a_file_is_that_file_and_too_large_a_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert read(tmp_path / "b") == read(tmp_path / "a", 5) == b"12345"
    with pytest.raises(BadInput, match=r"^a has 5 bytes, expected at most 4$"):
        read(tmp_path / "a", 4)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "absent")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": 1, "a": 1}', "x has 'a' twice"),
        ('{"a": {"b": [{"c": 1, "c" : 2}]}}', "x has 'c' twice"),
        ('{"a": 1, "\\u0061": 2}', "x has 'a' twice"),
        ('{"a": "\\u0022:", "b": 1, "b": 2}', "x has 'b' twice"),
        ('{"a": "\\":", "b" : 1, "b" : 2}', "x has 'b' twice"),
        ('{"a": [1, 1e999]}', "x: a.1 is not finite"),
        ('{"a": ' + "9" * 5000 + "e1}", "x: a is not finite"),
        ('{"a": NaN}', "x is not whole JSON"),
        ('{"a": 1', "x is not whole JSON"),
        ("[" * 40 + "]" * 40, "x has over 32 levels"),
        ("[" * 100_000, "x has over 32 levels"),
        ('{"a": ' * 900 + '"' + "}" * 900, "x "),
    ],
)
def test_json_that_is_ambiguous_infinite_or_endless_is_refused(text: str, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        plain(text.encode(), "x")
    assert str(refused.value).startswith(says) and "\n" not in str(refused.value)


def test_text_is_never_taken_for_names() -> None:
    for value in ({"a": '"b": 1, "b" : 2', "b": ['":', '"\t:']}, [], 3, None, "a"):
        assert plain(msgspec.json.encode(value), "x") == value
        assert plain(msgspec.json.format(msgspec.json.encode(value), indent=3), "x") == value


class Thing(msgspec.Struct):
    share: float
    names: list[str]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"share": "1", "names": []}, "x: share is '1'; expected `float`, got `str`"),
        ({"share": 1, "names": ["a", 3]}, "x: names[1] is 3; expected `str`, got `int`"),
        ({"names": []}, "x: Object missing required field `share`"),
        ([1], "x: Expected `object`, got `array`"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_there(values: Any, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        decoded(msgspec.json.encode(values), Thing, "x")
    assert str(refused.value) == says
