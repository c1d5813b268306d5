"""What `list` prints: all names there are, or all that is declared under one."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bench import data
from bench.cli.source import PARAGRAPHS, cost, line, source
from bench.core.errors import BadInput, unknown
from bench.experiment.declared import declare, notes
from bench.experiment.fingerprint import HOME
from bench.experiment.registry import BASES, Catalog, Plugin, imported
from bench.experiment.settings import PROFILES
from bench.studies import NAMES as STUDIES
from bench.studies import named as study

HOOKS = {
    "prepare": "once, on all images",
    "purify": "once, on all images with their labels",
    "recipe": "of the victim",
    "begin": "before the first step",
    "augment": "on each batch",
    "loss": "at each step",
    "finish": "after the last step",
}
DATA = {"glyphs": "glyphs", "parquet:DIR": "parquet", "folder:DIR": "folder", "hf:NAME": "hub"}
DATA |= dict.fromkeys(("imagenet100:DIR", "tinyimagenet:DIR"), "imagenet")  # whose module it is, if own
DRAFT = "none: a draft, which rows tell by its code"


def everything(catalogs: Iterable[Catalog]) -> Iterator[RenderableType]:
    """Show a line for each name."""
    for found in catalogs:
        shown = Table("name", "in all", "what it is", title=found.kind)
        for plugin in found.variants.values():
            shown.add_row(
                plugin.name, "yes" if plugin.name in found.everything else "", described(plugin, found)
            )
        for pattern in found.patterns:
            shown.add_row(pattern, "", "any number in the braces")
        for scheme in found.schemes:
            shown.add_row(f"{scheme}:PATH", "", imported(None, declare, scheme).about)
        yield shown
        if found.kind == "methods":
            yield from _compared(found)
        yield from map(Text, found.missing.values())
    nets = declare("bench.nets")
    yield Text(f"data sets: {', '.join(data.names())}\nnets: {', '.join(nets.names())}")
    yield from map(Text, nets.MISSING.values())
    yield Text("list data says how image files are read")
    yield from (Text(f"profile {name}: {profile}") for name, profile in PROFILES.items())
    yield from (Text(f"study {name}: {study(name, declare).about}") for name in STUDIES)


def _compared(found: Catalog) -> Iterator[RenderableType]:
    """Show a line a method: what it may change, needs and costs, and where it comes from."""
    shown = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("method", "threat model", "form", "needs", "cost", "source"):
        shown.add_column(name, no_wrap=name in {"method", "threat model"})
    for own in every(found):
        shown.add_row(*line(own))
    yield shown
    yield Text("form: one noise a sample or a class; cost: in passes over the images, those of EM are 1")


def one(name: str, catalogs: Sequence[Catalog]) -> Iterator[RenderableType]:
    """Show source, fields, units and so on of what has this name; BadInput where nothing has."""
    nets, schemes = declare("bench.nets").known(), declare("bench.nets").SCHEMES
    plugins = [(chosen, found) for found in catalogs if (chosen := plugin(name, found))]
    is_net = name in nets or name.partition(":")[0] in schemes
    if not (plugins or is_net or name in {"data", *data.names(), *PROFILES, *STUDIES}):
        known = [name for found in catalogs for name in found.names]
        raise unknown("name", name, [*known, *data.names(), *nets, *PROFILES, *STUDIES])
    if name == "data":
        yield Text("how every image file is read, by folder:, parquet:, file: and protect")
        yield from _known(declare("bench.data.rules").RULES)
    for chosen, found in plugins:
        yield from _of_plugin(chosen, found)
    if name in data.names():
        yield from _head(name, "data set", f"--data {name}", _said_of_data(name))
        revisions = declare("bench.experiment.keys").REVISIONS
        yield from _known({"revision": f"{revisions['data']}, of all data sets"})
    if is_net:
        yield from _of_net(name)
    if name in PROFILES:
        yield from _of_profile(name, catalogs)
    if name in STUDIES:
        told, module = study(name, declare), declare(f"bench.studies.{name}.study")
        yield from _head(name, "study", told.about, module.__doc__)
        yield Text("\nits grids: methods x defenses, and what it chooses itself")
        for grid in told.grids():
            yield Text(f"  {grid.methods} x {grid.defenses} {pairs(grid.options.given)}".rstrip())


def _said_of_data(name: str) -> str | None:
    """Read the docstring of the module that a data set comes from, which may be a package's."""
    if own := data.added().get(name):
        return ast.get_docstring(ast.parse(own.path.read_text(encoding="utf-8")))
    return declare(f"bench.data.{DATA.get(name, 'torchvision_sets')}").__doc__


def plugin(name: str, found: Catalog) -> Plugin | None:
    """Find the plugin; of a pattern or of file:PATH, any example under that name."""
    examples = {pattern: re.sub(r"{\w+}", "1", pattern) for pattern in found.patterns}
    if name.endswith(":PATH") and name in found.names:
        return replace(imported(None, declare, name.partition(":")[0]), name=name)
    try:
        return replace(found.get(examples.get(name, name)), name=name)
    except BadInput:
        return None


def every(found: Catalog) -> Iterator[Plugin]:
    """Give the variants, and of each pattern an example under the pattern's name."""
    return filter(None, (plugin(name, found) for name in [*found.variants, *found.patterns]))


def described(plugin: Plugin, found: Catalog) -> str:
    """Say what it is, and what it sets otherwise than the first variant of its class."""
    if plugin.name in found.patterns:  # its value is an example's
        return plugin.about
    first = next(p for p in found.variants.values() if type(p.value) is type(plugin.value))
    changed = _changed(first, plugin)
    return f"{plugin.about.removesuffix('.')} ({pairs(changed)})." if changed else plugin.about


def _changed(base: Plugin, variant: Plugin) -> dict[str, Any]:
    """Give what the variant sets otherwise."""
    ours, theirs = ({path: v for path, v, _ in settable(p.value)} for p in (base, variant))
    return {path: v for path, v in theirs.items() if v != ours[path]}


def _of_plugin(plugin: Plugin, found: Catalog) -> Iterator[RenderableType]:
    kind = type(plugin.value)
    module = sys.modules[plugin.module or kind.__module__]
    yield from _head(plugin.name, found.kind[:-1], plugin.about, module.__doc__)
    known = {"revision": str(plugin.revision or DRAFT)}
    if found.kind == "methods":
        paid = {"cost, EM is 1": f"{cost(plugin):.3g}", "source": source(plugin)}
        known = {"threat model": threat(plugin), **paid, **known}
    else:
        own = ", ".join(f"{hook} ({HOOKS[hook]})" for hook in hooks(plugin, found))
        known = {"hooks": own or "none", **known}
    for other in found.variants.values():
        if type(other.value) is kind and other.name != plugin.name:
            known[f"variant {other.name}"] = pairs(_changed(plugin, other)) or "same"
    for profile, changed in getattr(kind, "PROFILES", {}).items():
        known[f"profile {profile}"] = pairs(changed)
    yield from _known({**known, "file": place(module)})
    yield from _fields(plugin.value, f"{plugin.name}.")


def hooks(plugin: Plugin, found: Catalog) -> list[str]:
    """List the hooks that a defense overrides, in the order in which they act."""
    above = [each for each in type(plugin.value).__mro__ if each.__name__ != BASES[found.kind][1]]
    return [hook for hook in HOOKS if any(hook in vars(each) for each in above)]


def threat(plugin: Plugin) -> str:
    """Say what a method may do, and what it needs."""
    value = plugin.value
    needs = " and ".join(value.needs).replace("surrogate", "a surrogate") or "nothing but the images"
    how = ", image to image" if value.maps_images else ""
    return f"{value.threat}; {value.form}{how}; needs {needs}"


def _of_net(name: str) -> Iterator[RenderableType]:
    net = declare("bench.nets").architecture(name)
    body, revision = net.body, net.revision
    made = body.func if isinstance(body, partial) else body
    module = sys.modules[made.__module__]
    yield from _head(name, "net", f"--net {name}, --surrogate {name}", made.__doc__, module.__doc__)
    chosen = pairs(body.keywords) if isinstance(body, partial) else ""
    known = {"parameters": chosen or "none", "recipe": pairs(net.recipe) or "the profile's"}
    yield from _known({**known, "revision": str(revision or DRAFT), "file": place(module)})


def _of_profile(name: str, catalogs: Iterable[Catalog]) -> Iterator[RenderableType]:
    profile = PROFILES[name]
    yield from _head(name, "profile", f"--profile {name}")
    known = {"takes": profile.takes, "shows": profile.shows, "hides": profile.hides}
    scaled: dict[type, list[str]] = {}  # a class scales all its variants alike
    for plugin in (plugin for found in catalogs for plugin in found.variants.values()):
        if name in getattr(plugin.value, "PROFILES", {}):
            scaled.setdefault(type(plugin.value), []).append(plugin.name)
    for kind, names in scaled.items():
        known[", ".join(names)] = pairs(kind.PROFILES[name])  # type: ignore[attr-defined]
    yield from _known(known)
    yield from _fields(profile.setting, "")


def _head(name: str, kind: str, about: str, *docs: str | None) -> Iterator[RenderableType]:
    yield Text.assemble("\n", (name, "bold"), f" ({kind}): {about}")
    for paragraph in (part for doc in docs for part in PARAGRAPHS.split((doc or "").strip()) if part):
        yield Text("\n" + " ".join(paragraph.split()))


def _known(known: Mapping[str, str]) -> Iterator[RenderableType]:
    table = Table.grid("", "", padding=(0, 2, 0, 0))
    for what, said in known.items():
        table.add_row(Text(what, no_wrap=True), Text(said))
    yield from ("", table)


def _fields(value: Any, owner: str) -> Iterator[RenderableType]:
    """Show all that --set can change, with its value here, its type and what is said of it."""
    table = Table("field", "value", "type, unit and meaning", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for path, content, said in settable(value):
        table.add_row(Text(path, no_wrap=True), Text(text_of(content)), Text(said))
    if table.rows:
        yield from (Text(f"\nfields, set by --set {owner}FIELD=VALUE"), table)


def settable(value: Any, before: str = "") -> Iterator[tuple[str, Any, str]]:
    """List the fields that can be set, by dotted paths: each with its content, and its type and comment."""
    hints, said = get_type_hints(type(value)), notes(type(value))
    for f in fields(value):
        content, hint = getattr(value, f.name), hints[f.name]
        if is_dataclass(content):
            yield from settable(content, f"{before}{f.name}.")
        elif f.init and f.compare:
            plain = hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)
            kind = " | ".join(get_args(hint)) if get_origin(hint) is Literal else plain
            yield before + f.name, content, f"{kind}; {said[f.name]}" if f.name in said else kind


def text_of(value: Any) -> str:
    """Write a value as --set takes it."""
    if isinstance(value, tuple):
        return ",".join(map(text_of, value))
    if isinstance(value, float):
        plain, levels = f"{value!r}", round(255 * value)
        return f"{levels}/255" if levels / 255 == value and len(plain) > len("255/255") else plain
    return str(value) if isinstance(value, str) else str(value).lower()


def pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {text_of(value)}" for name, value in values.items())


def place(module: ModuleType) -> str:
    path = Path(str(module.__file__))
    return str(path.relative_to(HOME)) if path.is_relative_to(HOME) else path.name
