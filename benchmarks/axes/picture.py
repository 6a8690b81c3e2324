"""Draw two codes of one classifier, as trained and along explanatory axes.

Takes the codes of `benchmarks.axes.run`, and writes docs/images/axes.png.

    python -m benchmarks.axes.picture
"""

from pathlib import Path

import torch
from torch import Tensor

from attributions import explanatory_axes
from attributions.heatmaps import new_figure
from benchmarks.axes.codes import trained
from benchmarks.sizes import docs, new_parser, results_folder, sized
from trimvae import VAE, Explanation, explain
from trimvae.explanation.matching import correlations_of, matched_latents

ROWS, STEPS, REACH, EXAMPLES = 4, 7, 2.0, sized(400, 40)


def strips(code: VAE, explanation: Explanation, example: int, axes: list[int]) -> Tensor:
    """Pictures of an example with one axis moved, `(axes, steps, height, width)`."""
    latents = explanation.latents[example]
    offsets = torch.linspace(-REACH, REACH, STEPS)
    moved = latents.repeat(len(axes), STEPS, 1)
    for row, axis in enumerate(axes):
        moved[row, :, axis] = latents[axis] + offsets
    with torch.no_grad():
        return code.decode(moved.flatten(0, 1))[:, 0].unflatten(0, (len(axes), STEPS))


def matches(
    one: Explanation, other: Explanation, axes: list[int]
) -> list[tuple[int, float, float]]:
    """The other code's latent that belongs to each axis, its sign and |correlation|."""
    correlation = correlations_of(one.latents, other.latents)
    matched = matched_latents(correlation).tolist()
    found = [(matched[axis], float(correlation[axis, matched[axis]])) for axis in axes]
    return [(at, 1.0 if value > 0 else -1.0, abs(value)) for at, value in found]


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("--seeds", type=int, nargs=2, default=sized([10, 11], [0, 1]))
    parser.add_argument("--classifier", type=int, default=sized(10, 0))
    parser.add_argument("--example", type=int, default=0)
    parser.add_argument("--out", type=Path, default=results_folder("axes"))
    options = parser.parse_args()
    classifier = trained("digits", options.classifier, options.out)
    codes = [classifier.code(seed) for seed in options.seeds]
    along = [explanatory_axes(code, classifier.predictor, classifier.fitting) for code in codes]
    figure = new_figure(12, 4.2)
    parts = figure.subfigures(1, 2, wspace=0.04)
    titles = ("as trained", "along explanatory axes")
    for part, title, pair in zip(parts, titles, (codes, along), strict=True):
        both = [
            explain(code, classifier.predictor, classifier.held_out[:EXAMPLES], n_steps=16)
            for code in pair
        ]
        like = both[0].compare(both[1])
        part.suptitle(
            f"{title}: same strongest in {like.same_strongest:.0%},\n"
            f"within-class correlation {like.within_class_correlation:.2f}",
            fontsize=12,
        )
        first = both[0].shares.argsort(descending=True)[:ROWS].tolist()
        belongs = matches(both[0], both[1], first)
        ours = strips(pair[0], both[0], options.example, first)
        theirs = strips(pair[1], both[1], options.example, [at for at, _, _ in belongs])
        grid = part.subplots(ROWS, 2, gridspec_kw={"hspace": 0.25, "wspace": 0.08, "top": 0.82})
        for row, (at, sign, value) in enumerate(belongs):
            other = theirs[row] if sign > 0 else theirs[row].flip(0)
            for column, strip in enumerate((ours[row], other)):
                panel = grid[row, column]
                panel.imshow(torch.cat(list(strip), dim=1), cmap="gray_r", vmin=0, vmax=1)
                panel.set(xticks=[], yticks=[])
            grid[row, 0].set_title(f"{both[0].shares[first[row]]:.0%}", fontsize=8, pad=2)
            grid[row, 1].set_title(
                f"{both[1].shares[at]:.0%}, |correlation| {value:.2f}", fontsize=8, pad=2
            )
        grid[-1, 1].set_xlabel("another training", fontsize=9)
        grid[-1, 0].set_xlabel("one training", fontsize=9)
    path = docs("images") / "axes.png"
    figure.savefig(path, dpi=130, bbox_inches="tight")
    print(path)


if __name__ == "__main__":
    main()
