"""What there is, as Markdown: the part of README and the pages of the documentation that are generated."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from bench.cli import about
from bench.cli.source import PARAGRAPHS, cost, short, source
from bench.core.errors import BadInput
from bench.core.files import write_atomically
from bench.experiment.declared import declare
from bench.experiment.registry import Catalog, Plugin
from bench.experiment.settings import PROFILES

MARKS = "<!-- plugins -->", "<!-- /plugins -->"
WHEN = {
    "once, before training": {"prepare", "purify"},
    "on each batch": {"augment"},
    "at each training step": {"loss"},
    "around the training (recipe, net, last layer)": {"recipe", "begin", "finish"},
}


def overview(catalogs: Sequence[Catalog]) -> str:
    """Name methods by threat model, form and source with their costs, and defenses by when they act."""
    methods, defenses = catalogs
    kinds: dict[tuple[bool, tuple[int, float], str, str], dict[str, list[str]]] = {}
    for plugin in about.every(methods):
        threat = plugin.value.threat
        order, may = ((0, 0.0), "controls") if plugin.control else (threat.order, str(threat))
        cited = kinds.setdefault((plugin.control, order, may, plugin.value.form), {})
        cited.setdefault(short(source(plugin)), []).append(f"`{plugin.name}` {cost(plugin):.2g}")
    rows = [
        (may, form, "<br>".join(f"{by}: {', '.join(cited[by])}" for by in sorted(cited)))
        for (_, _, may, form), cited in sorted(kinds.items())
    ]
    acts: dict[str, list[str]] = {when: [] for when in ["never: the undefended victim", *WHEN]}
    for plugin in about.every(defenses):
        own = {*about.hooks(plugin, defenses)}
        when = next((when for when, hooks in WHEN.items() if own & hooks), next(iter(acts)))
        acts[when].append(f"`{plugin.name}`")
    lists = [(when, ", ".join(names)) for when, names in acts.items() if names]
    compared = _table(("threat model", "form", "source: method and its cost"), rows)
    return "\n".join([*compared, "", *_table(("defenses act", "names"), lists)])


def rewrite(path: Path, catalogs: Sequence[Catalog]) -> None:
    """Put the overview between the marks of a page; BadInput where it has none."""
    page = path.read_text(encoding="utf-8") if path.is_file() else ""
    before, first, rest = page.partition(MARKS[0])
    _, last, after = rest.partition(MARKS[1])
    if not last:
        raise BadInput(f"--markdown {path}: expected a page with the marks {' and '.join(MARKS)}")
    write_atomically(path, f"{before}{first}\n{overview(catalogs)}\n{last}{after}")


def plugins(found: Catalog) -> str:
    """Describe all plugins of a kind, a section a file: source, differences, threat model, fields, cost."""
    files: dict[str, list[Plugin]] = {}
    for plugin in about.every(found):
        files.setdefault(plugin.module or type(plugin.value).__module__, []).append(plugin)
    compared = _compared(found) if found.kind == "methods" else []
    sections = (line for module, own in files.items() for line in _section(module, own, found))
    return "\n".join([*compared, *sections])


def _compared(found: Catalog) -> list[str]:
    """Name each method in a line with its threat model, form, needs, cost and source."""
    rows = []
    for plugin in about.every(found):
        value = plugin.value
        said = str(value.threat), value.form, ", ".join(value.needs) or "nothing"
        rows.append((f"`{plugin.name}`", *said, f"{cost(plugin):.3g}", source(plugin)))
    return _table(("method", "threat model", "form", "needs", "cost, EM is 1", "source"), rows)


def nets() -> str:
    """List all nets with what is said of them."""
    module, rows = declare("bench.nets"), []
    for name, net in module.NETS.items():
        body = net.body.func if isinstance(net.body, partial) else net.body
        said = " ".join((body.__doc__ or "").split("\n\n")[0].split()).removesuffix(".")
        own = about.pairs(net.body.keywords) if isinstance(net.body, partial) else ""
        recipe = about.pairs(net.recipe) or "the profile's"
        rows.append((f"`{name}`", f"{said} ({own})" if own else said, recipe, str(net.revision)))
    return "\n".join(_table(("net", "what it is", "recipe", "revision"), rows))


def profiles() -> str:
    """List the profiles with what each takes, shows and hides."""
    rows = [(f"`{name}`", p.takes, p.shows, p.hides) for name, p in PROFILES.items()]
    return "\n".join(_table(("profile", "takes", "shows", "hides"), rows))


def _section(module: str, own: Sequence[Plugin], found: Catalog) -> Iterator[str]:
    head, *paragraphs = PARAGRAPHS.split((sys.modules[module].__doc__ or "").strip())
    title, _, does = head.partition(": ")
    yield f"\n## {' '.join((title if does else own[0].name).split()).rstrip('.')}\n"
    said = " ".join((does or head).split())
    yield f"{said[:1].upper()}{said[1:]}\n"
    for paragraph in paragraphs:
        text = " ".join(paragraph.split())
        yield re.sub(r"^(Differs from the paper:)", r"**\1**", text).replace("{", "&#123;") + "\n"
    yield from _table(*_known(own, found))
    yield f"\nFile: [`{about.place(sys.modules[module])}`](../{about.place(sys.modules[module])})\n"
    shown: list[type] = []
    for plugin in own:
        kind = type(plugin.value)
        fields = [] if kind in shown else [*about.settable(plugin.value)]
        shown.append(kind)
        if fields:
            yield f'??? note "Fields of {plugin.name}: --set {plugin.name}.FIELD=VALUE"\n'
            rows = [(f"`{path}`", about.text_of(value), said) for path, value, said in fields]
            yield from (f"    {line}" for line in _table(("field", "value", "type, unit, meaning"), rows))
            yield ""


def _known(own: Sequence[Plugin], found: Catalog) -> tuple[Sequence[str], list[Sequence[str]]]:
    """Say what each variant is: its threat model or hooks, its cost, its revision."""
    rows: list[Sequence[str]] = []
    for plugin in own:
        value, revision = plugin.value, str(plugin.revision or "draft")
        what = about.described(plugin, found) + (" Control." if plugin.control else "")
        if found.kind == "methods":
            cost = f"{value.passes:.4g}" if value.passes else "none"
            rows.append((f"`{plugin.name}`", what, about.threat(plugin), cost, revision))
        else:
            hooks = ", ".join(about.hooks(plugin, found)) or "none"
            rows.append((f"`{plugin.name}`", what, hooks, f"{value.cost:.3g}", revision))
    if found.kind == "methods":
        return ("name", "what it is", "threat model", "cost, passes over the images", "revision"), rows
    return ("name", "what it is", "hooks", "cost of an epoch, undefended is 1", "revision"), rows


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, [":--"] * len(head), *rows]
    return [f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines]
