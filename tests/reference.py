"""Slow, obvious oracles."""

import itertools
import math

import torch
from torch import Tensor


def jacobian_loop(function, latents: Tensor) -> Tensor:
    """(batch, classes, latents), one example, class and latent at a time, central differences."""
    step = 1e-5
    classes = function(latents[:1]).shape[1]
    result = torch.zeros(len(latents), classes, latents.shape[1], dtype=latents.dtype)
    with torch.no_grad():
        for example in range(len(latents)):
            for latent in range(latents.shape[1]):
                above, below = latents[example].clone(), latents[example].clone()
                above[latent] += step
                below[latent] -= step
                difference = function(above[None])[0] - function(below[None])[0]
                result[example, :, latent] = difference / (2 * step)
    return result


def riemann_integrated_gradients(function, latents: Tensor, target: int, steps: int = 2000):
    """Integrated gradients from 0 by the midpoint rule, one path point at a time."""
    total = torch.zeros_like(latents)
    for index in range(steps):
        point = (latents * (index + 0.5) / steps).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(function(point)[:, target].sum(), point)
        total += gradient * latents.detach() / steps
    return total


def gini_loop(sizes: list[float]) -> float:
    """Half the mean absolute difference over the mean."""
    n, mean = len(sizes), sum(sizes) / len(sizes)
    return sum(abs(a - b) for a in sizes for b in sizes) / (2 * n * n * mean)


def participation_ratio_loop(row: list[float]) -> float:
    return sum(abs(value) for value in row) ** 2 / sum(value**2 for value in row)


def kl_loop(logits_p: list[float], logits_q: list[float]) -> float:
    def softmax(logits):
        weights = [math.exp(value) for value in logits]
        return [weight / sum(weights) for weight in weights]

    p, q = softmax(logits_p), softmax(logits_q)
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def shapley_by_orders(function, latents: Tensor, baselines: Tensor) -> Tensor:
    """(batch, classes, latents): mean gain of each latent over every order of arrival."""
    size = latents.shape[1]
    orders = list(itertools.permutations(range(size)))
    total = torch.zeros(len(latents), function(latents[:1]).shape[1], size, dtype=latents.dtype)
    with torch.no_grad():
        for order in orders:
            point = baselines.expand_as(latents).clone()
            before = function(point)
            for latent in order:
                point[:, latent] = latents[:, latent]
                after = function(point)
                total[:, :, latent] += (after - before) / len(orders)
                before = after
    return total


def mutual_information_loop(probabilities) -> float:
    """Nats, from (n_alpha, n_beta, classes) nested lists, one logarithm at a time."""
    conditionals = [
        [sum(row[c] for row in rows) / len(rows) for c in range(len(rows[0]))]
        for rows in probabilities
    ]
    classes = range(len(conditionals[0]))
    marginal = [sum(row[c] for row in conditionals) / len(conditionals) for c in classes]
    return sum(
        row[c] * math.log(row[c] / marginal[c]) / len(conditionals)
        for row in conditionals
        for c in classes
        if row[c] > 0
    )
