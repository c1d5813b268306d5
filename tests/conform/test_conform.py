"""conform finds what is wrong with other people's plugins, each by the property that is meant for it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from bench.cli.main import main
from bench.conform.defenses import DEFENSE, PUBLISHED
from bench.conform.methods import CLEAN, METHOD
from bench.conform.nets import NET
from bench.conform.run import findings
from bench.conform.toys import toy_split

HEADS = {
    "methods": '''\
"""Own: a method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from bench.core.method import Method
from bench.core.rng import generator


@dataclass(frozen=True)
class Own(Method):
    """Noise."""

''',
    "defenses": '''\
"""Own: a defense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from bench.core.defense import Undefended


@dataclass(frozen=True)
class Own(Undefended):
    """Darker images."""

''',
    "nets": '''\
"""Own: a net."""

from __future__ import annotations

import torch
from torch import nn

from bench.core.errors import BadInput
from bench.nets.body import Architecture, Body, Shape, conv, pooled


class Changed(nn.Module):
    def __init__(self, forward):
        super().__init__()
        self.own = forward

    def forward(self, x):
        return self.own(x)


''',
}
TAILS = {
    "methods": '\n\nVARIANTS = {"own": Own()}\n',
    "defenses": '\n\nVARIANTS = {"own": Own()}\n',
    "nets": '\n\nNETS = {"own": Architecture(body, 1)}\n',
}
NOISE = "torch.empty(clean.images.shape).uniform_(-self.eps, self.eps, generator=lab.rng('noise'))"
LAYERS = "conv(shape.channels, 8), nn.MaxPool2d(2), conv(8, 8)"


def craft(body: str, more: str = "") -> str:
    """A method with this body, and what stands above it in its class."""
    lines = "".join(f"        {line}\n" for line in body.splitlines())
    return f"{more}    def craft(self, clean, lab):\n{lines}"


def hook(signature: str, body: str) -> str:
    return f"    def {signature}:\n        {body}\n"


def noisy(before: str = "", after: str = "", above: str = "") -> str:
    """A method of uniform noise, with these statements before it and this after it."""
    lines = f"{before}\n" if before else ""
    return craft(f"{lines}return {NOISE}{after}", f"    {above}\n\n" if above else "")


def body(layers: str, width: str = "8") -> str:
    return f"def body(shape):\n    return Body(pooled({layers}), {width}, 'small')\n"


APART = """class Apart(nn.Module):
    def __init__(self):
        super().__init__()
        self.own = nn.Sequential(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8))

    def forward(self, x):
        return self.own[1](self.own[0](x).relu())


"""
GOOD = {
    "methods": noisy(),
    "defenses": hook("prepare(self, images)", "return images - images // 8"),
    "nets": body(LAYERS),
}


def place(folder: Path, kind: str, source: str) -> Path:
    """A folder with one plugin."""
    (folder / kind).mkdir()
    tail = "" if "NETS" in source else TAILS[kind]
    (folder / kind / "own.py").write_text(HEADS[kind] + source + tail, encoding="utf-8")
    return folder


@pytest.mark.parametrize("kind", GOOD)
def test_a_good_plugin_has_every_property(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["conform", str(place(tmp_path, kind, GOOD[kind]))]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    expected = {"methods": METHOD, "defenses": DEFENSE, "nets": NET}[kind]
    assert lines == [f"{kind} own: {what}: ok" for what in expected]
    assert last == "all properties hold"


class Bad(NamedTuple):
    """A plugin, the property that it has not, and what is said of it."""

    kind: str
    property: str
    source: str
    says: str


CALLS = noisy("torch.rand(1)")
RESUMES = craft(
    f"delta = {NOISE}\nif lab.checkpoint.load() is not None:\n    return delta / 2\n"
    "if lab.checkpoint.due():\n    lab.checkpoint.save({'delta': delta})\nreturn delta"
)
ONE_DRAW = "return " + NOISE.replace("lab.rng('noise')", "generator(0)")
IDLE = """\
class Idle(nn.Module):
    def __init__(self):
        super().__init__()
        self.idle = nn.Linear(2, 2)

    def forward(self, x):
        return x


"""
BAD = {
    "another shape": Bad(
        "methods", "contract", craft("return torch.zeros(3)"), "expected torch.float32 (64,"
    ),
    "not finite": Bad("methods", "contract", noisy(after=" * float('nan')"), "nan or infinite"),
    "empty": Bad("methods", "contract", craft(f"return 0 * {NOISE}"), "left every image as it was"),
    "over budget": Bad("methods", "contract", craft(f"return 2 * {NOISE}"), "its budget is 0.03137"),
    "an undeclared net": Bad(
        "methods",
        "contract",
        noisy("lab.net()", above="needs: ClassVar = ()"),
        "'surrogate' in its needs",
    ),
    "undeclared clean data": Bad(
        "methods", "contract", noisy("lab.val.images.sum()"), "reads lab.val, and declares no clean data"
    ),
    "published beyond": Bad(
        "methods",
        "budget",
        GOOD["methods"] + "\n" + hook("publish(self, delta)", "return 2 * delta"),
        "its budget is 0.03137",
    ),
    "a fixed budget": Bad(
        "methods",
        "eps",
        noisy(after=" / self.eps * 8 / 255"),
        "with eps 0.02 its largest |delta| is 0.03",
    ),
    "one pattern a class that is none": Bad(
        "methods",
        "form",
        noisy(above="form: ClassVar = 'class-wise'"),
        "expected one pattern",
    ),
    "one pattern for all": Bad(
        "methods",
        "form",
        noisy(after="[:1].expand(clean.images.shape).clone()"),
        "two images of a class",
    ),
    "changes images": Bad("methods", "lent", noisy("clean.images.add_(1)"), "changed the images"),
    "changes labels": Bad("methods", "lent", noisy("clean.labels.add_(1)"), "changed the labels"),
    "draws globally": Bad(
        "methods",
        "determinism",
        craft("return (torch.rand(clean.images.shape) * 2 - 1) * self.eps"),
        "two runs of one seed differ in 64 of 64 images",
    ),
    "one draw for all seeds": Bad(
        "methods",
        "seed",
        craft(ONE_DRAW),
        "seeded is True",
    ),
    "moves torch's stream": Bad("methods", "global states", CALLS, "the global generator of torch"),
    "moves numpy's stream": Bad(
        "methods",
        "global states",
        CALLS.replace("torch.rand(1)", "import numpy; numpy.random.rand()"),
        "of numpy",
    ),
    "changes threads": Bad(
        "methods", "global states", CALLS.replace("rand(1)", "set_num_threads(3)"), "leaves threads changed"
    ),
    "resumes otherwise": Bad("methods", "resume", RESUMES, "stopped 1 times, it differs in 64 of 64 images"),
    "saves nothing": Bad(
        "methods",
        "resume",
        noisy(above="surrogate: int = 3"),
        "it trains a net and saves 0 times",
    ),
    "ticks beyond": Bad("methods", "progress", noisy("lab.tick(2, 'all')"), "shares in [0,1]"),
    "ends early": Bad("methods", "progress", noisy("lab.tick(0.5, 'half')"), "last tick is 0.5"),
    "a profile of no field": Bad(
        "methods",
        "profiles",
        noisy(above="PROFILES: ClassVar = {'quick': {'pace': 1}}"),
        "pace",
    ),
    "a profile of no name": Bad(
        "methods",
        "profiles",
        noisy(above="PROFILES: ClassVar = {'fast': {}}"),
        "profiles fast",
    ),
    "paper is no default": Bad(
        "methods",
        "profiles",
        noisy(above="PROFILES: ClassVar = {'paper': {'eps': 0.5}}"),
        "the profile paper changes fields",
    ),
    "torch in a class body": Bad(
        "methods",
        "declared",
        noisy(above="own: ClassVar = torch.zeros(1)"),
        "torch inside",
    ),
    "another type": Bad(
        "defenses", "prepare", hook("prepare(self, images)", "return images / 2"), "torch.uint8"
    ),
    "in place": Bad(
        "defenses", "prepare", hook("prepare(self, images)", "return images.mul_(2)"), "in place"
    ),
    "looks at other images": Bad(
        "defenses",
        "one by one",
        hook("prepare(self, images)", "return images - images.amin(0)"),
        "prepared otherwise beside others",
    ),
    "purifies by chance": Bad(
        "defenses",
        "purify",
        hook("purify(self, images, labels, kit)", "return torch.randint_like(images, 256)"),
        "others with the same kit",
    ),
    "begins by chance": Bad(
        "defenses",
        "begin, finish",
        hook("begin(self, net, shown, kit)", "nn.init.normal_(net.head.weight)"),
        "begin() gives other weights",
    ),
    "leaves a module": Bad(
        "defenses",
        "begin, finish",
        hook("finish(self, net, shown, kit)", "net.register_buffer('extra', torch.zeros(1))"),
        "after finish() the net differs in extra",
    ),
    "brighter than white": Bad("defenses", "augment", hook("augment(self, x, rng)", "return 2 * x"), "[0,1]"),
    "a batch in place": Bad(
        "defenses", "augment", hook("augment(self, x, rng)", "return x.mul_(0.5)"), "in place"
    ),
    "a loss an image": Bad(
        "defenses",
        "loss",
        hook("loss(self, net, x, y, rng, progress)", "return F.cross_entropy(net(x), y, reduction='none')"),
        "the loss has the shape (32,), expected a scalar",
    ),
    "no gradient": Bad(
        "defenses",
        "loss",
        hook("loss(self, net, x, y, rng, progress)", "return F.cross_entropy(net(x), y).detach()"),
        "the loss has no gradient",
    ),
    "noise of its own": Bad(
        "defenses",
        "determinism",
        hook("augment(self, x, rng)", "return (x + 0.1 * torch.rand_like(x)).clamp(0, 1)"),
        "two losses of one stream differ",
    ),
    "steady by its own word": Bad(
        "defenses",
        "steady",
        "    STEADY: ClassVar[bool] = True\n\n"
        + hook("loss(self, net, x, y, rng, progress)", "return (1 + progress) * F.cross_entropy(net(x), y)"),
        "it is STEADY, and its loss goes from",
    ),
    "a global generator": Bad(
        "defenses",
        "global states",
        hook("augment(self, x, rng)", "return x * torch.rand(())"),
        "the global generator of torch",
    ),
    "does nothing": Bad("defenses", "effect", "    sigma: float = 0.1\n", "or to be among CONTROLS"),
    "colours alone": Bad(
        "defenses",
        "gray images",
        hook("augment(self, x, rng)", "return x[:, [2, 0, 1]]"),
        "raised IndexError",
    ),
    "nothing is left": Bad(
        "defenses",
        "clean images",
        hook("prepare(self, images)", "return images // 255"),
        "% of test images right",
    ),
    "a defense's profile": Bad(
        "defenses",
        "profiles",
        GOOD["defenses"] + "\n    PROFILES: ClassVar = {'quick': {'pace': 1}}\n",
        "pace",
    ),
    "a decorator": Bad(
        "defenses",
        "declared",
        "    @torch.no_grad()\n" + hook("prepare(self, images)", "return images - images // 8"),
        "the module needs torch to be read",
    ),
    "another width": Bad("nets", "features", body(LAYERS, "9"), "raised RuntimeError"),
    "no gradients": Bad("nets", "gradients", body(f"{LAYERS}, Changed(torch.detach)"), "raised RuntimeError"),
    "a branch that is idle": Bad("nets", "gradients", IDLE + body(f"Idle(), {LAYERS}"), "have no gradient"),
    "dropout": Bad("nets", "determinism", body(f"{LAYERS}, nn.Dropout(0.5)"), "no dropout"),
    "weights of one seed": Bad(
        "nets",
        "seed",
        body(LAYERS).replace("    return", "    torch.manual_seed(0)\n    return"),
        "is the same for another seed",
    ),
    "float32 alone": Bad(
        "nets",
        "bfloat16",
        body(f"{LAYERS}, Changed(lambda x: 0 * x)"),
        "bfloat16 moves the logits by 0.000",
    ),
    "a row of layers that are not called in a row": Bad(
        "nets", "frozen", APART + body(f"{LAYERS}, Apart()"), "logits of its frozen copy differ"
    ),
    "one size": Bad(
        "nets",
        "other images",
        "def body(shape):\n    layers = nn.Flatten(), nn.Linear(3 * 32 * 32, 8)\n"
        "    return Body(nn.Sequential(*layers), 8, 'small')\n",
        "raised RuntimeError",
    ),
    "no revision": Bad(
        "nets",
        "declared",
        GOOD["nets"] + '\n\nNETS = {"own": Architecture(body, "first")}\n',
        "'first', expected a whole number",
    ),
    "no recipe": Bad(
        "nets",
        "declared",
        GOOD["nets"] + '\n\nNETS = {"own": Architecture(body, 1, {"pace": 3})}\n',
        "its recipe has pace",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_plugin_lacks_the_property_that_is_meant_for_it(what: str, tmp_path: Path) -> None:
    """And spoils the images of no later one's."""
    kind, name, source, says = BAD[what]
    found = {one.property: one.said for one in findings(place(tmp_path, kind, source)) if one.said}
    assert name in found and says in (found[name] or ""), found
    fresh = toy_split(64, 0)
    for kept in (CLEAN, PUBLISHED):
        assert torch.equal(kept.images, fresh.images) and torch.equal(kept.labels, fresh.labels)


def test_every_property_has_a_plugin_that_lacks_it() -> None:
    for kind, properties in (("methods", METHOD), ("defenses", DEFENSE), ("nets", NET)):
        assert {bad.property for bad in BAD.values() if bad.kind == kind} == {*properties}


def test_what_fails_is_printed_and_exits_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", str(place(tmp_path, "methods", BAD["over budget"].source))]) == 1
    said = capsys.readouterr().out
    assert "methods own: contract: method 'own' went to |delta| = 0.06" in said
    assert "methods own: lent: ok" in said and "properties do not hold" in said


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in GOOD:
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "torn.py").write_text("raise RuntimeError('torn')\n")
    assert main(["conform", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert all(f"{kind} " in said for kind in GOOD) and said.count("loads: ") == 3 and said.count("torn") >= 3


def test_a_folder_without_plugins_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", str(tmp_path)]) == 2
    assert "expected a folder with methods/, defenses/ or nets/" in capsys.readouterr().err
