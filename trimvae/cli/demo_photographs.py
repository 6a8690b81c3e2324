"""The demonstration on a photograph: what costs an ImageNet classifier its word for it?"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from attributions.methods.shapley import exact_shapley
from trimvae.cli import runs
from trimvae.cli.starting import Start
from trimvae.data.imagenet import CLASSES, efficientnet_lite
from trimvae.data.photos import Rendering
from trimvae.explanation.explaining import explain
from trimvae.explanation.explanation import Explanation
from trimvae.explanation.recording import versions
from trimvae.models import fit_inverter, invert
from trimvae.storage import write_json

NAME = "photographs"
_PHOTOGRAPH, _SIZE = "cat", 96
# Of the encoder, a network that guesses and a search that goes on from there; and the pictures.
_STEPS, _SEARCHED, _PICTURES = 300, 100, 30


def run(
    start: Start,
    *,
    seed: int = 0,
    say: Callable[[str], Any] = print,
    steps: int = _STEPS,
    searched: int = _SEARCHED,
    pictures: int = _PICTURES,
) -> dict[str, Any]:
    """Explain EfficientNet-Lite0, as ImageNet made it, on a cat that is changed in known ways.

    The decoder is the renderer itself, so that latents have names, and 0 is the photograph as it
    is.

    Args:
        start: Its folder receives metrics, explanation, configuration and report.
        seed: Of the encoder and the changes.
        say: Called with a line of text before every stage, and with what was found.
        steps: Of training the encoder's network.
        searched: Of the search that goes on from its guess.
        pictures: How many are changed and explained.

    Returns:
        What `metrics.json` holds.

    Raises:
        ModuleNotFoundError: A package of `trimvae[photographs]` is not installed.
    """
    say(f"1/3 loading EfficientNet-Lite0 and the photograph of a {_PHOTOGRAPH}")
    classifier = efficientnet_lite({_PHOTOGRAPH: CLASSES[_PHOTOGRAPH]}, size=_SIZE)
    code = Rendering(_PHOTOGRAPH, size=_SIZE)
    configuration = {"command": "demo", "dataset": NAME, "seed": seed, "versions": versions()}
    start.begin(configuration)
    say("2/3 learning to read how the photograph was moved, turned, recoloured and blurred")
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        code.encoder = _reader(code, steps, searched)
    changes = code.draw(pictures, torch.Generator().manual_seed(seed + 1))
    say(f"3/3 explaining {pictures} changed pictures, and writing the report")
    explanation = explain(
        code,
        classifier,
        code.decode(changes),
        method=exact_shapley,
        class_names=classifier.class_names,
        seed=seed,
    )
    runs.save_explanation(start.folder / "explanation", explanation)
    explanation.to_html(
        start.folder / "report.html", title=f"What costs the word {_PHOTOGRAPH}", max_examples=12
    )
    metrics = {
        "dataset": NAME,
        "seed": seed,
        "explained": explanation.metrics,
        "missed_by_the_encoder": float((explanation.latents - changes).abs().mean()),
        "found": found_in(explanation, changes, code, classifier),
    }
    write_json(start.folder / "metrics.json", metrics)
    return metrics


def found_in(
    explanation: Explanation, changes: Tensor, code: Rendering, classifier: nn.Module
) -> list[str]:
    """Say in three sentences what costs most, in one picture, and whether undoing it helps.

    Args:
        explanation: Of pictures with these changes; the class in question is the first.
        changes: `(pictures, latents)`, how each was changed.
        code: The renderer.
        classifier: What was explained.
    """

    def share(latents: Tensor) -> float:
        with torch.no_grad():
            return float(classifier(code.decode(latents)).softmax(dim=1)[0, 0])

    names, word = code.latent_names, _PHOTOGRAPH
    costs = explanation.attributions[:, 0]
    order = costs.mean(dim=0).argsort().tolist()
    hardest = int(explanation.outputs.softmax(dim=1)[:, 0].argmin())
    worst = int(costs[hardest].argmin())
    undone = changes[hardest : hardest + 1].clone()
    undone[:, worst] = 0
    before, after = share(changes[hardest : hardest + 1]), share(undone)
    unchanged = share(torch.zeros_like(undone))
    kept = explanation.metrics["agreement"]
    return [
        f"Over {len(changes)} changed pictures, the word {word} is lost most to {names[order[0]]}, "
        f"then to {names[order[1]]}; unchanged, the classifier says {word} with {unchanged:.0%}.",
        f"Of picture {hardest} it says {word} with {before:.0%}, most of all because of its "
        f"{names[worst]} ({costs[hardest, worst]:+.1f}): with that undone it says {after:.0%}.",
        f"Drawn again from what the encoder reads, {kept:.0%} of the pictures are decided as "
        "before.",
    ]


def _reader(code: Rendering, steps: int, searched: int) -> Callable[[Tensor], Tensor]:
    """Pictures to latents: a network's guess at half the size, then pixel error."""
    small = Rendering(_PHOTOGRAPH, size=_SIZE // 2)  # the same latents, faster to learn from
    network = fit_inverter(small, small.image_shape, small.latent_size, n_steps=steps)
    near = nn.Sequential(nn.AvgPool2d(2), network)

    def read(images: Tensor) -> Tensor:
        options: dict[str, Any] = {"n_steps": searched, "learning_rate": 0.1, "warn_above": None}
        return invert(code.decode, images, near(images), **options).latents

    return read
