"""Options of `run` in a YAML file: every run can be written as one and run again."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.cli.places import place
from bench.core import stored
from bench.core.errors import BadInput, unknown

OWN = {"gate": Path(__file__).parent.parent / "results" / "gate" / "gate.yaml"}  # files of the suite, by name
ASIDE = ("config", "print_config", "help")  # options that are about the file itself


def add(to: argparse.ArgumentParser) -> None:
    """Add the options that read and write such a file."""
    group = to.add_argument_group("options in a file")
    group.add_argument(
        "--config",
        type=place,
        metavar="FILE",
        help="YAML file of options; those given here win (gate: the regression gate's)",
    )
    group.add_argument(
        "--print-config", action="store_true", help="print such a file of these options, and end"
    )


def read(path: Path) -> dict[str, Any]:
    """Read a file's options; BadInput where it is none."""
    import yaml

    try:
        found = yaml.safe_load(stored.read(OWN.get(str(path), path)).decode())
    except (OSError, UnicodeError, yaml.YAMLError, RecursionError, BadInput) as error:
        said = " ".join(str(error).split())
        raise BadInput(f"--config {path} cannot be read: {said}") from None
    if not isinstance(found, Mapping):
        raise BadInput(f"--config {path} is no list of options, expected lines such as 'methods: em,tap'")
    return dict(found)


def arguments(settings: Mapping[str, Any], parser: argparse.ArgumentParser) -> list[str]:
    """Spell settings as the options of a parser: {"set": {"em.steps": 5}} -> --set em.steps=5; BadInput."""
    known = {name: action for name, action in _options(parser) if name not in ASIDE}
    said: list[str] = []
    for given, value in settings.items():
        name = str(given).replace("-", "_")
        if name not in known:
            raise unknown("option in the configuration", str(given), [*known])
        option = known[name].option_strings[0]
        if known[name].nargs == 0:  # a switch, as --no-report is
            if not isinstance(value, bool):
                raise BadInput(f"{given} in the configuration is {value!r}, expected true or false")
            said += [option] if value else []
        elif isinstance(known[name], argparse._AppendAction):
            said += [part for item in _items(value) for part in (option, item)]
        elif value is not None:
            said += [option, _text(value)]
    return said


def written(args: argparse.Namespace, parser: argparse.ArgumentParser) -> str:
    """Write the options that are not as by default, as YAML."""
    import yaml

    found: dict[str, Any] = {}
    for name, action in _options(parser):
        value = getattr(args, action.dest, action.default)
        if name in ASIDE or value == action.default:
            continue
        found[name.replace("_", "-")] = True if action.nargs == 0 else _plain(value)
    text: str = yaml.safe_dump(found, sort_keys=False, allow_unicode=True)
    return text if found else "{}\n"


def _options(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    """Name every option as a file does: by its first long name."""
    for action in parser._actions:
        if action.option_strings:
            long = next(name for name in action.option_strings if name.startswith("--"))
            yield long.removeprefix("--").replace("-", "_"), action


def _items(value: Any) -> list[str]:
    """Spell what may be given several times: FIELD=VALUE of a mapping, or of a list."""
    if isinstance(value, Mapping):
        return [f"{field}={_text(one)}" for field, one in value.items()]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [str(one) for one in value]
    raise BadInput(f"set in the configuration is {value!r}, expected lines of FIELD: VALUE, or a list")


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, list):  # of FIELD=VALUE
        return dict(item.split("=", 1) for item in value)
    return str(value) if isinstance(value, Path) else value
