"""What `list --json` prints: an entry for each name there is, or those of one name."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from inspect import cleandoc
from typing import Any

from bench import data
from bench.cli import about
from bench.cli.source import cost, source
from bench.core.errors import unknown
from bench.experiment.declared import declare
from bench.experiment.registry import Catalog, Plugin
from bench.experiment.settings import PROFILES
from bench.studies import NAMES as STUDIES
from bench.studies import named as study


def entries(catalogs: Sequence[Catalog], name: str | None) -> list[dict[str, Any]]:
    """List kind, name and what is declared under it; BadInput where nothing has the name."""
    every = [*_every(catalogs)]
    found = [entry for entry in every if name in (None, entry["name"])]
    if not found:
        raise unknown("name", str(name), [entry["name"] for entry in every])
    return found


def _every(catalogs: Sequence[Catalog]) -> Iterator[dict[str, Any]]:
    for found in catalogs:
        kind = found.kind.removesuffix("s")
        for own in about.every(found):
            module = sys.modules[own.module or type(own.value).__module__]
            yield {
                "kind": kind,
                "name": own.name,
                "default": own.name in found.everything,
                "about": own.about,
                "source": source(own),
                "header": cleandoc(module.__doc__ or ""),
                "revision": own.revision,
                **(_of_method(own) if kind == "method" else {"hooks": about.hooks(own, found)}),
                "fields": _fields(own.value),
            }
        yield from ({"kind": kind, "name": f"{scheme}:PATH"} for scheme in found.schemes)
    yield from ({"kind": "data set", "name": name} for name in data.names())
    nets: Mapping[str, Any] = declare("bench.nets").known()
    for name, net in nets.items():
        yield {"kind": "net", "name": name, "revision": net.revision, "recipe": dict(net.recipe)}
    yield from ({"kind": "net", "name": f"{scheme}:NAME"} for scheme in declare("bench.nets").SCHEMES)
    for name, profile in PROFILES.items():
        yield {"kind": "profile", "name": name, "about": str(profile), "fields": _fields(profile.setting)}
    yield from ({"kind": "study", "name": name, "about": study(name, declare).about} for name in STUDIES)


def _of_method(own: Plugin) -> dict[str, Any]:
    value = own.value
    declared = {"threat": str(value.threat), "form": value.form, "needs": [*value.needs]}
    return {**declared, "cost_against_em": cost(own)}


def _fields(value: Any) -> list[dict[str, Any]]:
    return [
        {"field": path, "value": content, "meaning": said} for path, content, said in about.settable(value)
    ]
