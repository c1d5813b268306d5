"""Nets of timm, where it is installed (pip install ue-bench[timm]): --net timm:NAME:KEYWORD=VALUE,...

Wightman, "PyTorch Image Models", 2019. The keywords are those of timm's own net, such as patch_size and
window_size; channels, and the size of the images where a net must know it, are given by the suite. Weights
are drawn, not loaded. Dropout and stochastic depth are off, since a net here draws nothing as it computes.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import partial
from importlib.util import find_spec
from typing import Any

from torch import nn

from bench.core.errors import BadInput
from bench.nets.body import LARGE, Architecture, Body, Shape
from bench.nets.vit import RECIPE

SCHEME = "timm"
TRANSFORMERS = re.compile(  # whose names say so: SGD at a rate of 0.1 is none of theirs
    r"patch|^(aim|vit|beit|cait|coat|convit|crossvit|davit|deit|eva|flexivit|gcvit|hiera|maxvit|maxxvit|mvit|"
    r"naflexvit|nest|pit|pvt|samvit|swin|tnt|twins|volo|xcit)"
)
KEPT = ("stem", "kept")  # not timm's: the stem is asked for as it is


def named(rest: str) -> Architecture:
    """Give the net of timm:REST; a transformer, or what has patches, has the recipe of vision transformers.

    Raises BadInput where timm is not installed, or REST is not NAME or NAME:KEYWORD=VALUE,...
    """
    name, _, given = rest.partition(":")
    try:
        call = ast.parse(f"net({given})", mode="eval").body
        assert isinstance(call, ast.Call) and not call.args and all(each.arg for each in call.keywords)
        values = [(str(each.arg), each.value) for each in call.keywords]  # a bare word is itself
        chosen = {key: own.id if isinstance(own, ast.Name) else ast.literal_eval(own) for key, own in values}
    except (SyntaxError, ValueError, AssertionError):
        raise BadInput(f"timm:{rest}: {given!r}, expected KEYWORD=VALUE,...") from None
    if any("drop" in key for key in chosen):
        raise BadInput(f"timm:{rest}: a net draws nothing as it computes, expected nothing of dropout")
    if find_spec("timm") is None:
        raise BadInput(f"--net timm:{rest} needs timm, expected after: pip install 'ue-bench[timm]'")
    body = partial(of_timm, name=name, chosen=chosen)
    patches = "patch_size" in chosen or TRANSFORMERS.search(name)
    return Architecture(body, revision=1, recipe=RECIPE if patches else {})


def of_timm(shape: Shape, *, name: str, chosen: Mapping[str, Any]) -> Body:
    """chosen: keywords of timm's net; stem=kept, which is ours, asks for a large stem at few pixels.

    Raises BadInput where timm has no such net, refuses a keyword, or means its stem for larger images.
    """
    import timm

    if not timm.is_model(name):
        near = get_close_matches(name, timm.list_models(), 1, 0.4)
        raise BadInput(f"timm has no net {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    meant = timm.get_pretrained_cfg(name)
    own = {key: value for key, value in chosen.items() if (key, value) != KEPT}
    wanted, patch = meant.input_size[-1], own.get("patch_size")
    if wanted >= 2 * LARGE > 2 * shape.size and not patch and own == chosen:
        raise BadInput(
            f"timm:{name} has a stem for images of {wanted} pixels, which leaves little of {shape.size}: "
            f"give a patch_size if it has patches (timm:{name}:patch_size=4), or ask for it as it is "
            f"(timm:{name}:stem=kept)"
        )
    if isinstance(patch, int) and shape.size % patch:
        raise BadInput(f"timm:{name}: images of {shape.size} pixels, expected a multiple of {patch}")
    sized = {"img_size": shape.size} if meant.fixed_input_size else {}
    try:
        net = timm.create_model(name, in_chans=shape.channels, num_classes=0, **sized | own)
    except (TypeError, ValueError, AssertionError) as error:
        raise BadInput(f"timm:{name} with {sized | own}: {error}") from error
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif hasattr(module, "drop_prob"):
            module.drop_prob = 0.0
    stem = f"patches of {patch}x{patch}" if patch else f"timm's, for {wanted} pixels"
    return Body(net, getattr(net, "head_hidden_size", None) or net.num_features, stem)
