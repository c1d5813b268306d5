"""A change of behaviour without a new revision fails a golden, which names what to raise.

Each sabotage is a text in the source of a function. The changed code takes the place of the function's own,
so that it serves whoever has imported the function. A function that lacks its text needs a new sabotage.
"""

from __future__ import annotations
import __future__

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import pytest

from bench.core.adversarial import attacked, raised
from bench.core.augment import crop_flip
from bench.core.defense import Undefended
from bench.core.method import Lab
from bench.core.pgd import frozen, pgd
from bench.core.pixels import release, truncated
from bench.core.strong import Strong, jittered
from bench.core.train import Streams, Trainer, batches, fit, lr_at, predict
from bench.data.folder import visible
from bench.data.glyphs import lumas
from bench.data.images import square
from bench.data.parquet import source as parquet
from bench.data.prepare import draw, hold_out
from bench.data.torchvision_sets import cifar
from bench.experiment import cell, keys, partial
from bench.experiment.evaluate import HeldOut, mi_columns, subject
from bench.experiment.registry import KINDS, catalog
from bench.metrics.class_spread import class_spread
from bench.metrics.distances import distances
from bench.metrics.feature_distance import feature_distance
from bench.metrics.frequency import frequency
from bench.metrics.mi import gauss_cca, infonce
from bench.metrics.mi.cka import debiased_cka
from bench.metrics.mi.smi_hist import histogram_mi
from bench.metrics.mi.smi_noisy import _scores, directions
from bench.metrics.separability import separability
from bench.nets import Net, build
from bench.nets.body import conv, pooled
from bench.nets.dense import mlp
from bench.nets.densenet import densenet
from bench.nets.mobile import efficientnet, mobilenet
from bench.nets.plain import lenet5, vgg11
from bench.nets.resnet import resnet
from bench.nets.vgg import vgg
from bench.nets.vit import vit
from defenses import _last_layer, coin, leak, pca, projection, simclr
from defenses import frequency as frequencies
from defenses._plasma import plasma
from defenses.coin import Coin
from defenses.cutout import Cutout
from defenses.dfr import LastLayer
from defenses.filters import Bilateral, Blur, Median
from defenses.finetune import FineTune
from defenses.frequency import RandomSharpening
from defenses.iss import BitDepth, Gray, Jpeg
from defenses.leak import Network
from defenses.mixing import CutMix, Mixing, MixUp
from defenses.noise import Noise
from defenses.pca import PCA
from defenses.projection import Augmented
from defenses.randaugment import RandAugment
from defenses.simclr import SimCLR
from defenses.ueraser import UEraser
from golden.cases import cases, complaint
from methods import _rounds, cuda, entf, tue
from methods.aap import AAP
from methods.ar import AR
from methods.aue import AUE
from methods.clean import Clean
from methods.em import EM, EMClass
from methods.em_gray import EMGray
from methods.em_mine import EMMine
from methods.emax import EMax
from methods.entf import EntF
from methods.hypo import HYPO
from methods.lsp import LSP
from methods.miue import MIUE
from methods.noise import Pixel, Signs, Sphere
from methods.ops import OPS
from methods.pil import PIL
from methods.region import Regions
from methods.rem import REM
from methods.tap import TAP
from methods.tue import TUECSD
from methods.uniform import Uniform


class Sabotage(NamedTuple):
    """What is changed, and what is to notice."""

    goldens: str  # names, separated by blanks
    function: Any
    old: str
    new: str


SABOTAGES = {
    # training
    "PGD climbs": Sabotage("training", pgd, "- step * grad", "+ step * grad"),
    "PGD takes longer steps": Sabotage("training", pgd, "step * grad", "1.1 * step * grad"),
    "PGD leaves the ball": Sabotage("training", pgd, ".clamp_(-eps, eps)", ""),
    "PGD leaves the pixel range": Sabotage("training", pgd, ".clamp_(0, 1).sub_(x)", ".sub_(x)"),
    "attacked nets take gradients": Sabotage("training", frozen, "requires_grad_(False)", "requires_grad_()"),
    "nets learn in eval mode": Sabotage("training", fit, "net.train()", "net.eval()"),
    "progress is a step ahead": Sabotage("training", fit, "len(rows) + at)", "len(rows) + at + 1)"),
    "every epoch has one order": Sabotage(
        "training", batches, "seed_for(order, epoch)", "seed_for(order, 0)"
    ),
    "crops miss a border": Sabotage("training", crop_flip, "2 * pad + 1", "max(2 * pad, 1)"),
    "most images are mirrored": Sabotage("training", crop_flip, "< 0.5", "< 0.6"),
    "a milestone counts a step late": Sabotage("training", lr_at, ">= at", "> at"),
    "weights do not decay": Sabotage("training", Trainer.__init__, ": recipe.weight_decay", ": 0.0"),
    "momentum is plain": Sabotage("training", Trainer.__init__, ": recipe.nesterov", ": False"),
    "gradients are clipped late": Sabotage("training", Trainer._update, "recipe.clip)", "recipe.clip * 2)"),
    "streams are mixed up": Sabotage("training", Streams.of, 'own, "defense"', 'shared, "defense"'),
    "a victim's weights follow its defense": Sabotage(
        "training", cell.run_cell, 'shared, "init"', 'own, "init"'
    ),
    # crafting
    "deltas are cut, not rounded": Sabotage("crafting", release, ".round_()", ".trunc_()"),
    "budgets are passed": Sabotage("crafting", release, ".clamp_(-cap, cap)", ""),
    "negative values round up": Sabotage("crafting", truncated, ".floor_()", ".round_()"),
    "shares forget the classes": Sabotage(
        "crafting", partial.order, "shuffled[place[shuffled].argsort(stable=True)]", "shuffled"
    ),
    "repetitions craft the same": Sabotage("crafting", cell._delta, "name, poison_rep)", "name, 0)"),
    "surrogates share an order": Sabotage("crafting", Lab.trained, "of(self.seed,", "of(0,"),
    # evaluation
    "validation is on test images": Sabotage(
        "evaluation", HeldOut.measure, "net, self.val", "net, self.test"
    ),
    "the curve has other images": Sabotage("evaluation", HeldOut.__init__, '"curve"', '"points"'),
    "test images are always prepared": Sabotage(
        "evaluation", HeldOut.__init__, "if setting.prepare_test", "if True"
    ),
    "the least likely class is predicted": Sabotage("evaluation", predict, "argmax(1)", "argmin(1)"),
    "L2 is of all images": Sabotage("evaluation", distances, 'total["l2"] / n', 'total["l2"]'),
    # mi
    "MI is of other images": Sabotage("mi", subject, 'seed_for(0, "mi"', 'seed_for(1, "mi"'),
    "MI has other slices": Sabotage("mi smi-noisy", directions, "default_rng(seed)", "default_rng(seed + 1)"),
    "the null is too large": Sabotage("mi smi-noisy", _scores, "] = ksg_of_rows(", "] = 0.1 + ksg_of_rows("),
    "the clean side is noisier": Sabotage(
        "mi smi-noisy", _scores, "settings.sigma *", "1.1 * settings.sigma *"
    ),
    "MI as shown is as published": Sabotage(
        "mi", mi_columns, "defense.prepare(side.clone())", "side.clone()"
    ),
    # data
    "other images are held out": Sabotage("data", hold_out, '"validation"', '"held out"'),
    "classes lose their quota": Sabotage("data", draw, "rank < quota", "rank <= quota"),
    "files are read backwards": Sabotage("data", visible, "sorted(found)", "sorted(found, reverse=True)"),
    "shrinking is coarse": Sabotage("data", square, "BILINEAR", "NEAREST"),
    "hub images are mirrored": Sabotage("data", parquet, 'flip=flip == "true"', "flip=True"),
    "channels come last": Sabotage("data", cifar, "part.data, 3, 1", "part.data, 1, 3"),
    "ink is dark": Sabotage("glyphs", lumas, "return dark, dark + contrast", "return dark + contrast, dark"),
    # methods
    "clean is not": Sabotage("clean", Clean.craft, "torch.zeros", "torch.ones"),
    "noise has one sign": Sabotage("random", Uniform.craft, "-self.eps", "0"),
    "EM takes longer steps": Sabotage("em", EM.descend, "self.step * self.eps", "1.1 * self.step * self.eps"),
    "EM attacks a net that learns": Sabotage("em", _rounds.alternate, "frozen(trainer.net)", "trainer.net"),
    "EM begins each round anew": Sabotage("em", _rounds._walk, "first = done * per_round -", "first = 0 *"),
    "EM stops late": Sabotage("em em-positive", _rounds.alternate, "error > method.stop_error", "error >= 0"),
    "EM's classes are unbalanced": Sabotage(
        "em-class", EMClass.searched, "place <= own @ quota.long()", "place <= own.sum(0).min() // 2"
    ),
    "EM's patterns follow the sum": Sabotage(
        "em-class", EMClass.perturb, "moved / seen.clamp(min=1).view(-1, 1, 1, 1)", "moved"
    ),
    "EM-gray's step is a channel's": Sabotage("em-gray", EMGray._gray, "x.shape[1] * self.step", "self.step"),
    "EM-gray has colour": Sabotage("em-gray", EMGray._gray, "delta = luminance(delta)", "pass"),
    "EM-MINE raises the information": Sabotage("em-mine", EMMine.perturb, "+ self.weight", "- self.weight"),
    "EM-MINE's critic learns nothing": Sabotage("em-mine", EMMine.taught, "-bound(", "0 * bound("),
    "EMax lowers the loss": Sabotage("emax", EMax._pass, "-F.cross_entropy", "F.cross_entropy"),
    "TAP's target is the class before": Sabotage("tap", TAP.craft, "+ self.shift", "- self.shift"),
    "TAP keeps the worst restart": Sabotage("tap", TAP._best, "loss < lowest", "loss > lowest"),
    "TAP attacks images as they are": Sabotage("tap", TAP._best, "crop_flip(z, lab.augmentation, rng)", "z"),
    "HYPO attacks images as they are": Sabotage(
        "hypo", HYPO.craft, "crop_flip(z, lab.augmentation, rng)", "z"
    ),
    "HYPO's surrogate is not robust": Sabotage("hypo", HYPO.craft, ", self.robust)", ")"),
    "EntF's own class is another": Sabotage("entf-pull", entf.others, "masked_fill(own", "masked_fill(~own"),
    "EntF pulls where it pushes": Sabotage("entf-push", EntF.objective, "return -", "return "),
    "MI-UE's step is a round ahead": Sabotage(
        "mi-ue mi-ue-cos", MIUE._perturb, "at = done /", "at = (done + 1) /"
    ),
    "MI-UE leaves an image's own pair out": Sabotage(
        "mi-ue", MIUE.objective, "~same", "~same | torch.eye(len(z)).bool()"
    ),
    "REM's gradient is of the crops alone": Sabotage("rem sem", REM.search, "net(crop + away)", "net(crop)"),
    "REM's search goes on from the image": Sabotage(
        "rem sem", REM.search, "uniform_(-self.eps, self.eps, generator=rng)", "zero_()"
    ),
    "REM learns from crops that nobody attacks": Sabotage(
        "rem sem",
        REM._learn,
        "self.robust.loss(trainer.net, z, y, rng, progress)",
        "F.cross_entropy(trainer.net(z), y)",
    ),
    "SEM attacks as REM does": Sabotage("sem", REM.attacked, "steps=self.inner", "steps=by.steps"),
    "AUE sees images as they are": Sabotage("aue", AUE._perturb, "views.augment(z, rng)", "z"),
    "AAP's target is the class before": Sabotage("aap", AAP.craft, "+ self.shift", "- self.shift"),
    "views show more of an image": Sabotage("aue aap strong", Strong.augment, "1 - 0.9 *", "1 - 0.8 *"),
    "views are never gray": Sabotage("aue aap strong", Strong.augment, "0.2 * self.strength", "-1"),
    "views have other hues": Sabotage("aue aap strong", jittered, "0.1 * strength", "0.3 * strength"),
    "AR's patterns keep their first rows": Sabotage("ar", AR.craft, "[CUT:, CUT:]", "[:-CUT, :-CUT]"),
    "AR's filters need not answer": Sabotage("ar", AR.search, "< least", "< 0"),
    "CUDA's filters have no 1": Sabotage("cuda", cuda.filters, "] = 1", "] = 0.5"),
    "CUDA leaves images dim": Sabotage("cuda", cuda.filtered, "found / found.amax", "found / 4 * found.amax"),
    "LSP's clusters are near each other": Sabotage("lsp", LSP.craft, "self.separation, seed", "1.0, seed"),
    "LSP's patches are smooth": Sabotage("lsp", LSP.craft, '"nearest"', '"bilinear"'),
    "OPS takes the least change": Sabotage("ops ops-paper", OPS.scores, "mean / spread", "spread / mean"),
    "OPS-paper's score has deviations": Sabotage("ops-paper", OPS.scores, ".var(0,", ".std(0,"),
    "PIL adds what it takes away": Sabotage("pil", PIL.craft, "z, x - z,", "z, z - x,"),
    "PIL forgets what is left of an image": Sabotage("pil", PIL.objective, "+ (1 - self.share) *", "+ 0.0 *"),
    "regions are smooth": Sabotage("region-4 region-64", Regions.craft, '"nearest"', '"bilinear"'),
    "one sign is fainter": Sabotage("random-signed", Signs.craft, "2.0 *", "1.5 *"),
    "noise on the sphere is uniform": Sabotage("random-l2", Sphere.craft, "normal_(", "uniform_("),
    "a random pixel is gray": Sabotage("random-l0", Pixel.craft, "(n, c, 1)", "(n, 1, 1)"),
    "TUE-CSD's spread has a gradient": Sabotage("tue-csd", tue.discriminant, ".detach()", ""),
    "TUE-CSD's noise stays in place": Sabotage(
        "tue-csd", TUECSD.craft, "crop_flip(z - x, moved, rng)", "z - x"
    ),
    # defenses
    "labels are smoothed": Sabotage("none", Undefended.loss, "net(x), y", "net(x), y, label_smoothing=0.1"),
    "the attack has no random start": Sabotage(
        "at-8 at-3", raised, "uniform_(-radius, radius, generator=rng)", "zero_()"
    ),
    "the attack moves the averages": Sabotage("at-8", attacked, "frozen(net)", "net"),
    "Cutout's place is a corner": Sabotage("cutout", Cutout._outside, " - side // 2", ""),
    "gray is a mean": Sabotage(
        "iss-gray", Gray.prepare, "BT601.to(images.device)", "torch.full((3,), 21845)"
    ),
    "JPEG keeps colour": Sabotage("iss-jpeg10 iss-jpeg3", Jpeg._round_trip, "=self.subsampling", '="4:4:4"'),
    "the lowest bits are kept": Sabotage("iss-bdr2 iss-bdr3", BitDepth.prepare, "256 -", "255 &"),
    "UEraser takes the mean view": Sabotage("uer uer-max uer-p1", UEraser.loss, "amax(0)", "mean(0)"),
    "UEraser's views compete too long": Sabotage("uer", UEraser.loss, "progress < self", "progress <= self"),
    "UEraser-lite has no contrast": Sabotage(
        "uer-lite", UEraser.view, "contrast(x, roughness=(0.3, 0.7), p=self.p)", "x"
    ),
    "plasma is smoother": Sabotage("uer-p1", plasma, "share * roughness", "share * 0.5 * roughness"),
    "COIN moves all channels apart": Sabotage(
        "coin", Coin.augment, "align_corners=True", "align_corners=False"
    ),
    "COIN's border repeats": Sabotage("coin", coin.wrapped, "place.remainder(last)", "place.clamp(0, last)"),
    "the last layer sees one crop": Sabotage(
        "dfr simclr",
        _last_layer.fit_last_layer,
        "_features(net, data, kit, views)",
        "_features(net, data, kit, 1).repeat(views, 1)",
    ),
    "the untrained net is the victim's": Sabotage(
        "dfr-random", LastLayer.finish, "if not self.trained", "if False"
    ),
    "the median is a minimum": Sabotage("median3", Median.filtered, "[0])[1]", "[0])[0]"),
    "blurring rounds down": Sabotage("blur3", Blur.filtered, "+ 8)", ")"),
    "the bilateral filter is wide": Sabotage(
        "bilateral", Bilateral.filtered, "div_(self.colour)", "div_(2 * self.colour)"
    ),
    "fine-tuning is fast": Sabotage(
        "finetune", FineTune.recipe, "lr=min(self.lr, victim.lr)", "lr=victim.lr"
    ),
    "the head is kept": Sabotage("finetune-head", FineTune.begin, "if self.new_head", "if False"),
    "a frequency more is kept": Sabotage(
        "dct-low30 rsk-dct30", frequencies.projection, "// 100]", "// 100 + 1]"
    ),
    "sharpening blurs": Sabotage(
        "rsk rsk-dct30", RandomSharpening.augment, "centre * x - around", "(centre * x + around) / 4"
    ),
    "the ridge has a large penalty": Sabotage("leak-3", leak.solved, "penalty *", "1e6 * penalty *"),
    "what is missing is taken away": Sabotage(
        "leak-50 leak-unet-3", leak._added, "part + purifier(part)", "part - purifier(part)"
    ),
    "the U-Net learns one batch": Sabotage(
        "leak-unet-3", Network.fitted, "missing[rows])", "missing[rows] * 0)"
    ),
    "labels are not mixed": Sabotage("cutmix mixup", Mixing.mixed, "y[partner][None]", "y[None]"),
    "CutMix's boxes are small": Sabotage(
        "cutmix cutmix-kornia", CutMix._line, "(side * length)", "(0.5 * side * length)"
    ),
    "Mixup fades little": Sabotage(
        "mixup mixup-kornia", MixUp.taken, "return torch.rand(", "return 0.5 * torch.rand("
    ),
    "noise is one-sided": Sabotage(
        "noise8", Noise.augment, "self.deviation * noise", "self.deviation * noise.abs()"
    ),
    "PCA forgets the mean": Sabotage("pca", PCA.purify, "kept.T + mean", "kept.T"),
    "PCA chooses by what it was fitted to": Sabotage("pca", pca.best_rank, "kit.val", "published"),
    "PCA takes the worst rank": Sabotage("pca", pca.best_rank, "max(found", "min(found"),
    "PCA's coordinates are not scaled": Sabotage(
        "pca", pca.best_rank, " / x.square().sum(0)[:, None]", " / 1.0"
    ),
    "OP adds what it reads": Sabotage("op op-plain", projection._without, "flat - flat @", "flat + flat @"),
    "OP's images are not sheared": Sabotage("op op-none", Augmented.augment, "shear.tan()", "0 * shear"),
    "OP's labels are not mixed": Sabotage("op op-none", Augmented.loss, "(y, other)", "(y, y)"),
    "RandAugment is weak": Sabotage("randaugment", RandAugment.augment, "self.magnitude", "1"),
    "SimCLR's views are one": Sabotage("simclr", SimCLR.loss, "for _ in range(2)]", "for _ in range(1)] * 2"),
    "SimCLR's views are told from themselves": Sabotage("simclr", simclr.info_nce, "-torch.inf", "0.0"),
    # nets
    "the linear net is centred otherwise": Sabotage("linear", Net.features, "sub(MEAN)", "sub(0)"),
    "nets have another seed": Sabotage("mlp3", build, "generator(seed)", "generator(seed + 1)"),
    "bfloat16 is not used": Sabotage("vgg11-slim", Net.features, '"bf16"', '"none"'),
    "MLPs have no kink": Sabotage("mlp2", mlp, "nn.ReLU(inplace=True)", "nn.Identity()"),
    "features are largest values": Sabotage("small", pooled, "AdaptiveAvgPool2d", "AdaptiveMaxPool2d"),
    "LeNet pools the largest": Sabotage(
        "lenet5", lenet5, "AvgPool2d(2), nn.Flatten", "MaxPool2d(2), nn.Flatten"
    ),
    "VGG has no batch norm": Sabotage("vgg11-slim", conv, "nn.BatchNorm2d(out)", "nn.Identity()"),
    "VGG drops borders": Sabotage("vgg11", vgg11, "ceil_mode=True", "ceil_mode=False, stride=1"),
    "ResNet's stem is large": Sabotage("resnet18-slim", resnet, ">= LARGE", ">= LARGE // 4"),
    "ResNet shrinks every block": Sabotage(
        "resnet34-slim-s2", resnet, "stage and not block", "stage or block"
    ),
    "VGG-16 has no batch norm": Sabotage("vgg-slim", vgg, "batch_norm=True", "batch_norm=False"),
    "DenseNet keeps its pooling": Sabotage("densenet-slim", densenet, "del layers.pool0", "pass"),
    "MobileNet's second stage shrinks": Sabotage("mobilenet-slim", mobilenet, "else 1", "else 2"),
    "EfficientNet drops layers": Sabotage(
        "efficientnet_b0-tv", efficientnet, "stochastic_depth_prob=0.0", "stochastic_depth_prob=0.5"
    ),
    "patches are drawn otherwise": Sabotage("vit-slim", vit, "** -0.5", "** -0.25"),
    # metrics
    "histograms forget a side": Sabotage(
        "smi-hist", histogram_mi, "entropies[0] + entropies[1]", "2 * entropies[0]"
    ),
    "correlations are not held out": Sabotage(
        "gauss-cca", gauss_cca._projections, "rest = np.setdiff1d(everyone, fold)", "rest = everyone"
    ),
    "the critic's bound is of the other side": Sabotage("infonce", infonce._terms, "dim=1", "dim=0"),
    "CKA may be above 1": Sabotage("cka", debiased_cka, "max(_hsic(y, y), 0.0)", "max(_hsic(x, x), 0.0)"),
    "spreads are subtracted the other way round": Sabotage(
        "class-spread",
        class_spread,
        'spread["published"] - spread["clean"]',
        'spread["clean"] - spread["published"]',
    ),
    "deltas are told from those that were learnt": Sabotage(
        "separability", separability, "right[held]", "right[fitted]"
    ),
    "a frequency falls out of its band": Sabotage("frequency", frequency, "radius >= HIGH", "radius > HIGH"),
    "distances are squared": Sabotage("feature-distance", feature_distance, "np.sqrt(", "("),
}


def rewritten(function: FunctionType, old: str, new: str) -> CodeType:
    """The function's code with a text in the place of another."""
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(old) >= 1, f"{function.__qualname__} lacks {old!r}: its sabotage needs a new text"
    tree = ast.parse(source.replace(old, new))
    (definition,) = tree.body
    assert isinstance(definition, ast.FunctionDef)
    definition.decorator_list.clear()
    space = dict(function.__globals__)
    exec(compile(tree, "sabotage", "exec", __future__.annotations.compiler_flag, dont_inherit=True), space)
    code: CodeType = space[definition.name].__code__
    return code


@contextmanager
def sabotaged(function: Callable[..., Any], old: str, new: str) -> Iterator[None]:
    whole = inspect.unwrap(function)
    assert isinstance(whole, FunctionType)
    before, forget = whole.__code__, getattr(function, "cache_clear", lambda: None)
    whole.__code__ = rewritten(whole, old, new)
    forget()
    try:
        yield
    finally:
        whole.__code__ = before
        forget()


@pytest.mark.parametrize("what", SABOTAGES)
def test_a_change_of_behaviour_fails_a_golden(what: str) -> None:
    goldens, *change = SABOTAGES[what]
    for name in goldens.split():
        case = cases()[name]
        with sabotaged(*change):
            said = complaint(case)
        assert said is not None, f"{name} did not notice"
        assert said.startswith(f"{name}: ") and " -> " in said
        revision = case.declared()
        assert revision is not None
        assert f"raise {case.owner} to {revision + 1} and record" in said and "restore the behaviour" in said


def test_what_rests_on_a_sabotaged_part_points_there() -> None:
    """Whoever breaks PGD is not told to raise the revisions of the methods that take it."""
    with sabotaged(pgd, "- step * grad", "+ step * grad"):
        said = complaint(cases()["em"]) or ""
    assert "training moved too" in said and "EM.revision" not in said


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_with_plugins_is_sabotaged(kind: str) -> None:
    named = {name for goldens, *_ in SABOTAGES.values() for name in goldens.split()}
    files: dict[str, set[str]] = {}
    for name, plugin in catalog(kind).variants.items():
        files.setdefault(plugin.module, set()).add(name)
    assert [file for file, names in files.items() if not names & named] == []


def test_every_part_of_the_harness_is_sabotaged() -> None:
    assert set(keys.REVISIONS) <= {name for goldens, *_ in SABOTAGES.values() for name in goldens.split()}
