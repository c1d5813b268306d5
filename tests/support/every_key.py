"""The keys that copies of the packages give, as JSON: folder -> what a key is of -> the key.

Run as a process of its own. It imports no module that a test may rename, and asks signatures for classes.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import get_type_hints

PACKAGES = ("bench", "methods", "defenses")


def all_keys() -> Iterator[tuple[str, str]]:
    """Of crafting, publications, rows and records, by what they are of."""
    import torch

    from bench.experiment import keys
    from bench.experiment.registry import catalog
    from bench.experiment.settings import PROFILES, Setting
    from bench.metrics import METRICS
    from bench.nets import NETS
    from bench.studies.records import Records
    from bench.studies.study import Record

    dataset = get_type_hints(keys.crafting)["data"]
    classes = get_type_hints(dataset)
    images, labels = torch.zeros(4, 3, 8, 8, dtype=torch.uint8), torch.tensor([0, 0, 1, 1])
    part = classes["train"](images, labels)
    data = dataset("toy", "digest", part, part, part, ("a", "b"), classes["augmentation"]())
    none = catalog("defenses").get("none")
    clean = catalog("methods").get("clean")
    for name in catalog("methods").variants:
        method = catalog("methods").get(name)
        for profile in ("quick", "paper"):
            asked, plugin = PROFILES[profile].setting, method.at(profile)
            yield f"crafting {name} {profile}", keys.key_of(keys.crafting(data, asked, plugin, 1))
            yield f"published {name} {profile}", keys.key_of(keys.publication(data, asked, plugin, 1))
            yield f"row {name} {profile}", keys.cell(data, asked, plugin, none, 1, 2).key
    for name in (*catalog("defenses").variants, "at-3", "iss-jpeg50", "iss-bdr4"):
        yield f"row {name}", keys.cell(data, Setting(), clean, catalog("defenses").get(name), 0, 0).key
    for name in NETS:
        yield f"setting {name}", keys.cell(data, Setting(net=name, surrogate=name), clean, none, 0, 0).setting
    for name in METRICS:
        with tempfile.TemporaryDirectory() as folder:
            Records(Path(folder)).save(Record(name, "one", "other"))
            (path,) = Path(folder).iterdir()
            yield f"record {name}", f"{path.name} {json.loads(path.read_text())['inputs']}"


def keys_in(folder: str) -> dict[str, str]:
    """Of the packages in a folder, imported anew."""
    for name in [name for name in sys.modules if name.split(".")[0] in PACKAGES]:
        del sys.modules[name]
    sys.path.insert(0, folder)
    try:
        found = dict(all_keys())
        import bench

        assert Path(bench.__file__ or "").is_relative_to(folder), bench.__file__
    finally:
        sys.path.remove(folder)
    return found


if __name__ == "__main__":
    print(json.dumps({folder: keys_in(folder) for folder in sys.argv[1:]}))
