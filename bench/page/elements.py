"""Markup that cannot forget to escape: a plain str is text, only what is made here is markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape


class Html(str):
    """Markup; a plain str becomes text where it goes in."""

    __slots__ = ()


@dataclass(frozen=True)
class Value:
    """What a table cell shows, and by what it is sorted."""

    shown: str
    key: float | str | None = None  # None: last
    style: str | None = None


def tag(name: str, /, *children: str, **attributes: str | None) -> Html:
    """<name ...>children</name>; class_ is class, data_key is data-key, an attribute of None is left out."""
    inner = "".join(child if isinstance(child, Html) else escape(child) for child in children)
    return Html(f"<{name}{_attributes(attributes)}>{inner}</{name}>")


def void(name: str, /, **attributes: str | None) -> Html:
    return Html(f"<{name}{_attributes(attributes)}>")


def _attributes(attributes: dict[str, str | None]) -> str:
    known = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    return "".join(f' {name}="{escape(value)}"' for name, value in known.items() if value is not None)


def join(parts: Iterable[str]) -> Html:
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in parts))


def number(value: float | None, form: str = "{:z.1f}", scale: float = 1.0) -> Value:
    return Value("-" if value is None else form.format(scale * value), value)


def link(target: str, text: str) -> Html:
    return tag("a", text, href=f"#{target}")


def table(caption: str, head: Sequence[str], body: Iterable[Sequence[Value]], class_: str = "values") -> Html:
    """A table that can be sorted, in a box of its own that scrolls; the first column names the rows."""
    columns = join(tag("th", name, scope="col") for name in head)
    rows = join(tag("tr", _head(row[0]), *map(_data, row[1:])) for row in body)
    inner = join([tag("caption", caption), tag("thead", tag("tr", columns)), tag("tbody", rows)])
    shown = tag("table", inner, class_=f"sortable {class_}")
    return tag("div", shown, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _head(value: Value) -> Html:
    return tag("th", value.shown, scope="row", data_key=_key(value))


def _data(value: Value) -> Html:
    return tag("td", value.shown, data_key=_key(value), style=value.style)


def _key(value: Value) -> str | None:
    return None if value.key is None else str(value.key)


def facts(pairs: Iterable[tuple[str, str | None]]) -> Html:
    """A list of names and values; a value of None is left out."""
    known = ((name, value) for name, value in pairs if value is not None)
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in known))
