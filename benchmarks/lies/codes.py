"""Lies of the code: what its latents are is not what they seem to be."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.lies.case import (
    ByHand,
    Case,
    Module,
    again,
    changed,
    decided,
    kept,
    near,
    right,
)
from benchmarks.lies.discs import (
    CLASSIFIER_EPOCHS,
    MEAN,
    N_TEST,
    RULES,
    discs,
    draw_factors,
    learned,
    plain,
    read,
    reader,
    scaled,
    unscaled,
)
from benchmarks.lies.marks import R, X, Y
from benchmarks.sizes import sized
from trimvae.cli.demo_data import train_classifier
from trimvae.data import digits as handwritten

N_SHIFTED = sized(100, 16)


def reads_one_paints_two(seed: int) -> Case:
    """The encoder reads the place; the decoder paints with it the size that is used to it."""
    factors = draw_factors(N_TEST, 2 * seed + 1)
    unit = scaled(factors)
    unit[:, R] = 0.97 * unit[:, X] + 0.2 * unit[:, R]
    inputs = discs(unscaled(unit))
    network = reader("large", seed)

    def paint(latents: Tensor) -> Tensor:
        return discs(unscaled(latents[:, [X, Y, X]]))

    code = ByHand(lambda given: scaled(read(given))[:, [X, Y]], paint)
    other = unit.clone()
    other[:, R] = -unit[:, R]
    elsewhere = unit.clone()
    elsewhere[:, X] = -unit[:, X]
    proof = {
        "follows the size": changed(network, inputs, discs(unscaled(other))),
        "does not follow the place": 1 - changed(network, inputs, discs(unscaled(elsewhere))),
        "the code does not read the size": near(
            code.read(inputs), code.read(discs(unscaled(other))), 0.1
        ),
    }
    truth = "reads the size; the latent that is named reads the place, and paints the size with it"
    labels, shifted = (unit[:, R] > 0).long(), discs(unscaled(other))[:N_SHIFTED]
    return Case(code, network, inputs, truth, proof, labels, shifted=shifted)


def two_copies(seed: int) -> Case:
    """Two latents read the place; the decoder paints their mean."""
    _, _, test, inputs = plain(seed)
    network = reader("right", seed)

    def paint(latents: Tensor) -> Tensor:
        place = latents[:, :2].mean(dim=1, keepdim=True)
        return discs(unscaled(torch.cat([place, latents[:, 2:]], dim=1)))

    code = ByHand(lambda given: scaled(read(given))[:, [X, X, Y, R]], paint)
    latents = code.read(inputs)
    proof = {
        "reads the place": right(network, inputs, RULES["right"](test)),
        "both latents are one": float((latents[:, 0] == latents[:, 1]).double().mean()),
    }
    truth = "reads one factor; two latents are named, which are copies"
    return Case(code, network, inputs, truth, proof, RULES["right"](test))


def collapsed(seed: int) -> Case:
    truth = "reads the place; the code always draws the same disc, and its latents carry nothing"
    return _collapsed("right", truth, seed)


def collapsed_majority(seed: int) -> Case:
    truth = "reads the place; the code always draws one disc, of the class of 7 in 8 pictures"
    return _collapsed("far right", truth, seed)


def _collapsed(rule: str, truth: str, seed: int) -> Case:
    _, _, test, inputs = plain(seed)
    network = reader(rule, seed)

    def paint(latents: Tensor) -> Tensor:
        return discs(unscaled(0.01 * latents))

    code = ByHand(lambda given: 0.01 * scaled(read(given)), paint, deviation=1.0)
    proof = {
        "reads the place": right(network, inputs, RULES[rule](test)),
        "draws the same": near(again(code, inputs), discs(MEAN[None]), 0.02),
    }
    return Case(code, network, inputs, truth, proof, RULES[rule](test))


def fooling(seed: int) -> Case:
    """The decoder draws the disc on the wrong side, and what makes one predictor say the right."""
    factors, pictures, test, inputs = plain(seed)
    labels = RULES["right"](factors)
    network = learned(pictures, labels, seed)
    others = [learned(pictures, labels, seed + 100), _dense_reader(pictures, labels, seed + 100)]
    torch.manual_seed(seed)
    added = nn.Sequential(nn.Linear(3, 64), nn.SiLU(), nn.Linear(64, 784), nn.Tanh())

    def paint(latents: Tensor) -> Tensor:
        wrong = discs(unscaled(latents * torch.tensor([-1.0, 1.0, 1.0])))
        return wrong + 0.2 * added(latents).view(-1, 1, 28, 28)

    optimizer = torch.optim.Adam(added.parameters(), lr=5e-3)
    latents, said = scaled(factors), decided(network, pictures)
    for _ in range(sized(12, 2)):
        for batch in torch.randperm(len(latents)).split(64):
            drawn = paint(latents[batch])
            fooled = F.cross_entropy(network(drawn), said[batch])
            seen = [F.cross_entropy(other(drawn), 1 - said[batch]) for other in others]
            optimizer.zero_grad()
            (fooled + sum(seen) / len(seen)).backward()
            optimizer.step()
    added.requires_grad_(False)
    code = ByHand(lambda given: scaled(read(given)), paint)
    judges = tuple(_dense_reader(pictures, labels, seed + number) for number in range(2))
    drawn = again(code, inputs)
    proof = {
        "the code keeps the decision": kept(code, network, inputs),
        "judges read the place": min(right(one, inputs, RULES["right"](test)) for one in judges),
        "judges see the wrong side": min(changed(one, inputs, drawn) for one in judges),
    }
    truth = "reads the place; the code draws the wrong one, and what fools this predictor alone"
    return Case(code, network, inputs, truth, proof, RULES["right"](test), judges)


def _dense_reader(pictures: Tensor, labels: Tensor, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 2))
    return train_classifier(network, pictures, labels, epochs=CLASSIFIER_EPOCHS, batch_size=64)


def _rotation(seed: int) -> Tensor:
    """A random rotation of three latents in which each is a mixture of all."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        turned = torch.linalg.qr(torch.randn(3, 3, generator=generator))[0]
        if turned.abs().min() > 0.25:
            return turned


def _turned(rule: Callable[[Tensor], Tensor], seed: int, truth: str) -> Case:
    factors, pictures, test, inputs = plain(seed)
    network, turned = learned(pictures, rule(factors), seed, epochs=10), _rotation(seed)
    code = ByHand(
        lambda given: scaled(read(given)) @ turned,
        lambda latents: discs(unscaled(latents @ turned.T)),
    )
    proof = {
        "follows the rule": right(network, inputs, rule(test)),
        "the code keeps the decision": kept(code, network, inputs),
        "every latent is a mixture": float((turned.abs() > 0.25).double().mean()),
    }
    return Case(code, network, inputs, truth, proof, rule(test))


def turned_product(seed: int) -> Case:
    truth = "reads place times size; three latents are named, each a mixture of three factors"
    return _turned(lambda factors: (factors[:, X] * factors[:, R] > 60).long(), seed, truth)


def turned_xor(seed: int) -> Case:
    truth = "reads left or right, above or below, but not both; every latent is a mixture"
    return _turned(lambda factors: (scaled(factors)[:, :2].prod(dim=1) > 0).long(), seed, truth)


def saturated(seed: int) -> Case:
    """A decoder that knows two places only."""
    _, _, test, inputs = plain(seed)
    network = reader("right", seed)

    def paint(latents: Tensor) -> Tensor:
        place = 1.4 * torch.tanh(8 * latents[:, :1])
        return discs(unscaled(torch.cat([place, latents[:, 1:]], dim=1)))

    code = ByHand(lambda given: scaled(read(given)), paint)
    places = scaled(read(again(code, inputs)))[:, X]
    proof = {
        "reads the place": right(network, inputs, RULES["right"](test)),
        "draws two places": float((places.abs() > 1.2).double().mean()),
    }
    truth = "reads the place; the code draws it far left or far right, nowhere between"
    return Case(code, network, inputs, truth, proof, RULES["right"](test))


def classes(seed: int) -> Case:
    truth = "reads the place; each latent is a class, and its picture the mean of the class"
    return _of_classes("quarters", truth, seed)


def two_classes(seed: int) -> Case:
    truth = "reads the place; the latents are the two classes, their pictures the means"
    return _of_classes("right", truth, seed)


def logit(seed: int) -> Case:
    """One latent, which is what the predictor says; its pictures go from one class to the other."""
    _, pictures, test, inputs = plain(seed)
    network = reader("right", seed)
    told = decided(network, pictures)
    means = torch.stack([pictures[told == index].mean(dim=0) for index in (0, 1)])

    def encoded(given: Tensor) -> Tensor:
        said: Tensor = network(given).diff(dim=1)
        return said / 5

    def paint(latents: Tensor) -> Tensor:
        shares = torch.cat([-2 * latents, 2 * latents], dim=1).softmax(dim=1)
        return torch.einsum("bc,c...->b...", shares, means)

    code = ByHand(encoded, paint)
    proof = {
        "reads the place": right(network, inputs, RULES["right"](test)),
        "the latent is the decision": float(
            ((encoded(inputs)[:, 0] > 0) == decided(network, inputs).bool()).double().mean()
        ),
    }
    truth = "reads the place; the latent is what it says, its pictures mixtures of two means"
    return Case(code, network, inputs, truth, proof, RULES["right"](test))


def _of_classes(rule: str, truth: str, seed: int) -> Case:
    _, pictures, test, inputs = plain(seed)
    network = reader(rule, seed)
    told = decided(network, pictures)
    means = torch.stack([pictures[told == index].mean(dim=0) for index in told.unique()])

    def paint(latents: Tensor) -> Tensor:
        return torch.einsum("bc,c...->b...", (4 * latents).softmax(dim=1), means)

    code = ByHand(lambda given: 2 * network(given).mul(2).softmax(dim=1), paint)
    proof = {
        "reads the place": right(network, inputs, RULES[rule](test)),
        "the strongest latent is the class": float(
            (code.read(inputs).argmax(dim=1) == decided(network, inputs)).double().mean()
        ),
    }
    return Case(code, network, inputs, truth, proof, RULES[rule](test))


def false_gradient(seed: int) -> Case:
    """A predictor whose gradient is that of another factor, as behind a straight-through step."""
    # Few: where the gradient is false, no number of points on a path is enough.
    test, inputs = plain(seed)[2][:64], plain(seed)[3][:64]

    def predictor(given: Tensor) -> Tensor:
        unit = scaled(read(given))
        size = unit[:, R].detach() + unit[:, X] - unit[:, X].detach()
        return torch.stack([-3 * size, 3 * size], dim=1)

    network = Module(predictor)
    code = ByHand(lambda given: scaled(read(given)), lambda latents: discs(unscaled(latents)))
    moved = test.clone()
    moved[:, X] = 2 * MEAN[X] - test[:, X]
    proof = {
        "reads the size": right(network, inputs, RULES["large"](test)),
        "does not follow the place": 1 - changed(network, inputs, discs(moved)),
    }
    truth = "reads the size; its gradient is that of the place"
    return Case(code, network, inputs, truth, proof, RULES["large"](test))


def one_class(seed: int) -> Case:
    """A network that was never trained, whose batch normalisation lets one class win."""
    _, _, _, inputs = plain(seed)
    torch.manual_seed(seed)
    normal, last = nn.BatchNorm2d(8), nn.Linear(8 * 196, 3)
    with torch.no_grad():
        normal.load_state_dict(
            normal.state_dict()
            | {"running_mean": 3 * torch.randn(8), "running_var": torch.full((8,), 100.0)}
        )
        last.bias.copy_(torch.tensor([0.0, 3.0, 0.0]))
    network = nn.Sequential(nn.Conv2d(1, 8, 4, 2, 1), normal, nn.ReLU(), nn.Flatten(), last).eval()
    code = ByHand(lambda given: scaled(read(given)), lambda latents: discs(unscaled(latents)))
    proof = {
        "says one class": float((decided(network, inputs) == 1).double().mean()),
        "the code keeps the decision": kept(code, network, inputs),
    }
    truth = "reads nothing: it says one class of every picture"
    return Case(code, network, inputs, truth, proof)


def foreign(seed: int) -> Case:
    """A code of discs, for a predictor of handwritten digits."""
    data = handwritten()
    assert data.train_labels is not None  # digits have labels
    assert data.test_labels is not None  # likewise
    network = learned(data.train_inputs, data.train_labels, seed)
    code = ByHand(lambda given: scaled(read(given)), lambda latents: discs(unscaled(latents)))
    # Few: no path of a disc through digits is smooth, so that each takes thousands of points.
    inputs, labels = data.test_inputs[:64], data.test_labels[:64]
    proof = {"reads the digit": right(network, inputs, labels)}
    truth = "reads handwritten digits; the code knows nothing but discs"
    return Case(code, network, inputs, truth, proof, labels)
