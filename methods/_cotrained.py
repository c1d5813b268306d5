"""What AUE and MI-UE share: an epoch of training on perturbed images, a pass of perturbing, and so on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor, nn

from bench.core.method import Lab
from bench.core.pgd import frozen
from bench.core.train import Loss, Trainer, batches
from bench.core.types import Recipe, Split

READS = 0.5  # accuracy on clean images above which a surrogate learned them in place of the perturbation

Perturb = Callable[[nn.Module, int], None]  # of the net, frozen, and of the rounds that are done


def cotrained(
    clean: Split,
    lab: Lab,
    recipe: Recipe,
    rng: Generator,
    objectives: Callable[[nn.Module, Tensor], tuple[Loss, Perturb]],
    *,
    steady: bool,
    falls: bool,
) -> Tensor:
    """Train a net and perturb all images in turn, as often as the recipe has epochs; resumes.

    objectives: of the net and of delta, which perturb changes in place: the loss that the net learns from,
    and what perturbs all images anew. They draw from rng alone. steady: see Trainer.learner. falls: whether
    the learning rate is set at every step, not once a round. Returns delta, float32 (N,C,H,W).
    """
    trainer, rounds = Trainer(lab.net(), recipe), recipe.epochs
    delta = torch.zeros(clean.images.shape, device=clean.images.device)
    done = resumed(trainer, rng, state := lab.checkpoint.load())
    if state is not None:
        delta.copy_(state["delta"])
    loss, perturb = objectives(trainer.net, delta)
    learn = trainer.learner(loss, (rng,), steady=steady)
    while done < rounds:
        trainer.net.train()
        rows = batches(len(clean), recipe.batch, lab.order("surrogate"), done, delta.device)
        for at, some in enumerate(rows):
            learn(some, (done + falls * at / len(rows)) / rounds)
        perturb(frozen(trainer.net), done)
        done += 1
        if lab.checkpoint.due():
            state = {"trainer": trainer.state(), "delta": delta, "rng": rng.get_state(), "done": done}
            lab.checkpoint.save(state)
        lab.tick(done / rounds, f"round {done}")
    lab.note(rounds=rounds, stop="rounds")
    check_read(trainer.net, lab)
    return delta


def resumed(trainer: Trainer, rng: Generator, state: dict[str, Any] | None) -> int:
    """Go on where a state was saved; how much was done by then."""
    if state is None:
        return 0
    trainer.load(state["trainer"])
    rng.set_state(state["rng"])
    return int(state["done"])


def check_read(net: nn.Module, lab: Lab) -> None:
    """Say so where a net that is trained on perturbed images reads clean ones."""
    if (clean_acc := lab.note_surrogate(net)) > READS:
        lab.unreached(
            f"the co-trained net reads {100 * clean_acc:.0f} % of clean images rightly, expected "
            f"{100 * READS:.0f} at most: it learned the images, not what is added to them"
        )
