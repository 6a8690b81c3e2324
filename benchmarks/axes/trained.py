"""Training along axes: what penalties do on the weights, on the axes, and once axes are chosen.

Every arm goes on from the same codes as `benchmarks.axes.run`, which must have run, for as many
steps: without penalty, with a penalty on the code's own latents, or with one along axes that
`explanatory_axes` has chosen. (Arms that say "from the first step" are trained anew, for as many
steps in all.) Figures, intervals and held-out examples are as there.

Results are kept in --out, so that an interrupted run goes on; --arms chooses some.

    python -m benchmarks.axes.trained --data digits --seeds 10 11 12 13 14 --classifiers 10 11
"""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from attributions import GroupSparsity, Penalty, Sparsity, explanatory_axes
from attributions.axes import Chain, Flow
from attributions.penalties import ContrastSparsity, SharedSparsity
from benchmarks.axes.codes import Trained, trained
from benchmarks.axes.run import Figures, axes_parser, joined, of_codes, parsed, row, write_found
from benchmarks.axes.seen import Along, Seen, along, seen_by
from trimvae import VAE

MANY = 64  # examples of a batch that a penalty sees which compares them within their classes


@dataclass(frozen=True)
class Arm:
    """How a code is trained on."""

    penalties: Callable[[], Sequence[Penalty]] = tuple
    axes: bool = False
    """Whether axes are chosen first."""
    anew: bool = False
    """Whether the penalty is there from the first step of a new code."""
    flow: bool = False
    """Whether a flow, the identity at first, comes after the axes."""
    axes_after: bool = False
    """Whether axes are chosen once more, of the trained code."""
    options: tuple[tuple[str, Any], ...] = ()


def _both() -> Sequence[Penalty]:
    return [SharedSparsity(weight=6.0)]


MANY_EXAMPLES = ("penalty_examples", MANY)
ARMS: dict[str, Arm] = {
    "no penalty": Arm(),
    "Sparsity(6) from the first step (0.1)": Arm(lambda: [Sparsity(weight=6.0)], anew=True),
    "GroupSparsity(6) from the first step": Arm(lambda: [GroupSparsity(weight=6.0)], anew=True),
    "ContrastSparsity(6) from the first step": Arm(
        lambda: [ContrastSparsity(weight=6.0)], anew=True
    ),
    "SharedSparsity(6) from the first step": Arm(_both, anew=True, options=(MANY_EXAMPLES,)),
    "the same, then axes": Arm(_both, anew=True, axes_after=True, options=(MANY_EXAMPLES,)),
    "axes, no penalty": Arm(axes=True),
    "axes, then Sparsity(4)": Arm(lambda: [Sparsity(weight=4.0)], axes=True),
    "axes, then ContrastSparsity(4)": Arm(lambda: [ContrastSparsity(weight=4.0)], axes=True),
    "**axes, then SharedSparsity(6)**": Arm(_both, axes=True, options=(MANY_EXAMPLES,)),
    "the same, layer trained too": Arm(
        _both, axes=True, options=(MANY_EXAMPLES, ("penalised", "both"))
    ),
    "the same, layer alone": Arm(_both, axes=True, options=(MANY_EXAMPLES, ("penalised", "axes"))),
    "the same, layer and code in turns": Arm(
        _both, axes=True, options=(MANY_EXAMPLES, ("penalised", "alternating"))
    ),
    "axes, then a flow along them, alone": Arm(
        _both, axes=True, flow=True, options=(MANY_EXAMPLES, ("penalised", "axes"))
    ),
    "axes and a flow, code trained too": Arm(
        _both, axes=True, flow=True, options=(MANY_EXAMPLES, ("penalised", "both"))
    ),
}


def made(arm: Arm, classifier: Trained, seed: int) -> VAE:
    """Train a code as an arm wants it."""
    setting, options = classifier.setting, dict(arm.options)
    if arm.anew:
        epochs, vae = setting.epochs + setting.epochs_on, classifier.new_vae(seed)
    else:
        epochs, vae = setting.epochs_on, classifier.code(seed)
        options["learning_rate"] = 1.5e-3
    if arm.axes:
        options.setdefault("penalised", "code")
        vae = explanatory_axes(vae, classifier.predictor, classifier.fitting)
    if arm.flow:
        vae = vae.with_axes(Chain(vae.axes, Flow(vae.latent_size)))
    vae = classifier.train(vae, epochs, seed + 100, penalties=arm.penalties(), **options)
    if arm.axes_after:
        vae = explanatory_axes(vae, classifier.predictor, classifier.fitting)
    return vae


def view(name: str, arm: Arm, classifier: Trained, seed: int) -> tuple[Along, dict[str, float]]:
    """Return how the arm's code sees the held-out examples, trained now or found."""
    letters = "".join(letter for letter in name if letter.isalnum())
    path = classifier.folder / f"trained_{letters}_{seed}.pt"
    if not path.exists():
        code = made(arm, classifier, seed)
        torch.save(tuple(seen_by(code, classifier.predictor, classifier.held_out)), path)
    seen = Seen(*torch.load(path, weights_only=True))
    axes = torch.eye(seen.latents.shape[1], dtype=torch.float64)
    return along(seen, axes), {"agreement": seen.agreement, "error": seen.error}


def main() -> None:
    parser = axes_parser(__doc__)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    options = parsed(parser)
    found: dict[str, list[Figures]] = defaultdict(list)
    for name in options.arms:
        for number in options.classifiers:
            classifier = trained(options.data, number, options.out)
            views, kept = [], []
            for seed in options.seeds:
                one, rest = view(name, ARMS[name], classifier, seed)
                views.append(one)
                kept.append(rest)
            rests = {key: [rest[key] for rest in kept] for key in kept[0]}
            found[name].append(of_codes(views) | rests)
        print(name, json.dumps(row(joined(found[name]))), flush=True)
    write_found("axes_trained", options, ", trained on from those of the other table", found)


if __name__ == "__main__":
    main()
