"""Last-layer retraining."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from bench.core.errors import BadInput
from bench.core.pixels import to_float
from bench.core.train import Streams, accuracy, fit
from bench.core.types import Recipe, Split
from bench.experiment.registry import catalog
from bench.nets import build
from defenses._last_layer import fit_last_layer
from defenses.dfr import LastLayer
from support.toys import AUGMENTATION, CLASSES, SIZE, equal_weights, small_net, toy_kit, toy_split

DATA = toy_split(64, 0)
MISLED = Split(DATA.images, (DATA.labels + 1) % CLASSES)  # every class under the name of the next
DFR = LastLayer(reference=40, views=2)


def misled() -> nn.Module:
    """A net whose features tell the classes apart, and whose last layer names them wrongly."""
    net, recipe = small_net(), Recipe(epochs=8, batch=16, lr=0.05)
    fit(net, MISLED, recipe, Streams.of(0, 0, torch.device("cpu")), AUGMENTATION)
    return net


def test_a_misled_last_layer_is_set_right_and_nothing_else_moves() -> None:
    net, test = misled(), toy_split(100, 9)
    before, body = accuracy(net, test), {k: v.clone() for k, v in net.body.state_dict().items()}  # type: ignore[union-attr,operator]
    kit = toy_kit(DFR, MISLED)
    DFR.finish(net, MISLED, kit)
    assert before < 0.1 and accuracy(net, test) > 0.9
    assert all(torch.equal(body[name], value) for name, value in net.body.state_dict().items())  # type: ignore[union-attr,operator]
    assert kit.facts == {"val_acc_before": accuracy(misled(), kit.val)}


def test_the_control_owes_nothing_to_the_training() -> None:
    control, nets = replace(DFR, trained=False), [misled(), small_net(7).eval()]
    for net in nets:
        control.finish(net, MISLED, toy_kit(DFR, MISLED))
    assert equal_weights(*nets)
    assert control.recipe(Recipe(epochs=9)) == Recipe(epochs=1) and DFR.recipe(Recipe()) == Recipe()
    assert catalog("defenses").get("dfr-random").value == replace(LastLayer(), trained=False)


def test_the_layer_is_that_of_a_regression_without_penalty() -> None:
    """On labels that nothing tells apart, so that there is a least loss; whatever the features' scale."""
    kit, net = toy_kit(DFR, DATA), misled()
    kit.augmentation = replace(AUGMENTATION, pad=0)
    noisy = Split(toy_split(400, 3).images, torch.arange(400) % CLASSES)
    with torch.no_grad():
        z = net.features(to_float(noisy.images))  # type: ignore[operator]
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=1e9, max_iter=5000, tol=1e-5))
    found = oracle.fit(z.double().numpy(), noisy.labels.numpy())
    fit_last_layer(net, noisy, kit, views=1, steps=5000)
    with torch.no_grad():
        ours = net.head(z).softmax(1)  # type: ignore[operator]
    expected = torch.as_tensor(found.predict_proba(z.double().numpy()))
    assert (ours - expected).abs().max() < 0.02


def test_a_feature_that_is_always_the_same_does_no_harm() -> None:
    net = misled()
    with torch.no_grad():
        last = [layer for layer in net.body.modules() if isinstance(layer, nn.BatchNorm2d)][-1]  # type: ignore[union-attr]
        last.weight[:3] = 0
        last.bias[:3] = torch.tensor([-1.0, 0.0, 2.0])
    DFR.finish(net, MISLED, toy_kit(DFR, MISLED))
    assert accuracy(net, toy_split(100, 9)) > 0.9
    assert all(p.isfinite().all() for p in net.parameters())


def test_a_net_without_features_is_refused_before_its_training() -> None:
    device = torch.device("cpu")
    shape = {"channels": 3, "classes": CLASSES, "size": SIZE}
    net = build("linear", **shape, precision="fp32", seed=0, device=device)
    with pytest.raises(BadInput, match="expected a net with features below its last layer"):
        DFR.begin(net, DATA, toy_kit(DFR, DATA))


def test_it_needs_clean_images() -> None:
    with pytest.raises(BadInput, match="has 0 clean images, expected some"):
        LastLayer(reference=0)
