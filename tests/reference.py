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


def stratified_weight(sample: int, other: int, batch: int, dataset_size: int) -> float:
    """Chen et al. 2018, equation S6: own posterior, one other, the rest."""
    others = batch - 1
    if other == sample:
        return 1 / dataset_size
    if other == (sample + 1) % batch:
        return (dataset_size - others) / (dataset_size * others)
    return 1 / others


def normal_density(value: float, mean: float, deviation: float) -> float:
    return math.exp(-0.5 * ((value - mean) / deviation) ** 2) / (deviation * math.sqrt(2 * math.pi))


def decomposition_loop(latents, means, deviations, weight) -> tuple[float, float, float]:
    """Mutual information, total correlation, dimension-wise KL, one density at a time.

    `weight(i, j)` is that of posterior j in q(z_i); the prior is standard normal.
    """
    n, size = len(means), len(means[0])
    information = correlation = marginal = 0.0
    for i, point in enumerate(latents):
        table = [
            [normal_density(point[d], means[j][d], deviations[j][d]) for d in range(size)]
            for j in range(n)
        ]
        given = math.prod(table[i])
        joint = sum(weight(i, j) * math.prod(table[j]) for j in range(n))
        product = math.prod(sum(weight(i, j) * table[j][d] for j in range(n)) for d in range(size))
        prior = math.prod(normal_density(point[d], 0.0, 1.0) for d in range(size))
        information += math.log(given / joint) / len(latents)
        correlation += math.log(joint / product) / len(latents)
        marginal += math.log(product / prior) / len(latents)
    return information, correlation, marginal


def entropy_of(items) -> float:
    counts = {}
    for item in items:
        counts[item] = counts.get(item, 0) + 1
    return -sum(c / len(items) * math.log(c / len(items)) for c in counts.values())


def information_matrix_loop(codes, factors, bins: int = 20) -> list[list[float]]:
    """(latents, factors) mutual information of codes in equal-width bins, in nats."""
    columns = list(zip(*codes, strict=True))
    binned = []
    for column in columns:
        low, width = min(column), (max(column) - min(column)) / bins
        binned.append([min(int((value - low) / width), bins - 1) for value in column])
    return [
        [
            entropy_of(digits)
            + entropy_of(levels)
            - entropy_of(list(zip(digits, levels, strict=True)))
            for levels in zip(*factors, strict=True)
        ]
        for digits in binned
    ]


def mig_loop(matrix, factors) -> float:
    gaps = []
    for k, levels in enumerate(zip(*factors, strict=True)):
        ordered = sorted((row[k] for row in matrix), reverse=True)
        gaps.append((ordered[0] - ordered[1]) / entropy_of(levels))
    return sum(gaps) / len(gaps)


def modularity_loop(matrix) -> float:
    scores = []
    for row in matrix:
        best = max(range(len(row)), key=lambda k: row[k])
        others = sum(row[k] ** 2 for k in range(len(row)) if k != best)
        scores.append(1 - others / (row[best] ** 2 * (len(row) - 1)))
    return sum(scores) / len(scores)


def best_matching(matrix) -> float:
    """Largest mean of one-to-one matched entries, over every permutation."""
    size = len(matrix)
    return max(
        sum(matrix[order[k]][k] for k in range(size)) / size
        for order in itertools.permutations(range(size))
    )


def interventional_robustness_loop(codes, factors, quantile: float) -> float:
    import numpy as np

    codes, factors = np.asarray(codes), np.asarray(factors)
    largest = [max(abs(value - column.mean()) for value in column) for column in codes.T]
    scores = []
    for j, column in enumerate(codes.T):
        robust = []
        for levels in factors.T:
            moved = []
            for level in sorted(set(levels)):
                group = column[levels == level]
                moved.append(np.quantile([abs(v - group.mean()) for v in group], quantile))
            robust.append(1 - sum(moved) / len(moved) / largest[j])
        scores.append(max(robust))
    return sum(s * w for s, w in zip(scores, largest, strict=True)) / sum(largest)


def axis_alignment_loop(matrix) -> float:
    scores = []
    for column in zip(*matrix, strict=True):
        best = max(column)
        scores.append(max(0.0, best - (sum(column) - best)) / best)
    return sum(scores) / len(scores)


def dci_from_importance(importance) -> tuple[float, float]:
    """Disentanglement and completeness of an importance matrix, entry by entry."""

    def one_sided(rows) -> float:
        total = sum(map(sum, rows))
        score = 0.0
        for row in rows:
            shares = [value / sum(row) for value in row]
            entropy = -sum(p * math.log(p) for p in shares if p > 0) / math.log(len(row))
            score += sum(row) / total * (1 - entropy)
        return score

    return one_sided(importance), one_sided(
        [list(column) for column in zip(*importance, strict=True)]
    )


def group_of(factors, k: int, level, generator, size: int) -> list[int]:
    rows = [row for row, levels in enumerate(factors) if levels[k] == level]
    return [rows[i] for i in generator.integers(len(rows), size=size)]


def factor_vae_loop(codes, factors, votes: int, seed: int) -> float:
    """One vote at a time: which latent varies least, relative to its variance over all codes?"""
    import numpy as np

    codes, generator = np.asarray(codes), np.random.default_rng(seed)
    overall = codes.var(axis=0, ddof=1)
    counts: dict[int, dict[int, int]] = {}
    results = []
    for _ in range(2 * votes):
        k = int(generator.integers(len(factors[0])))
        level = factors[int(generator.integers(len(factors)))][k]
        rows = group_of(factors, k, level, generator, 64)
        results.append((int((codes[rows].var(axis=0, ddof=1) / overall).argmin()), k))
    for latent, k in results[:votes]:
        counts.setdefault(latent, {}).setdefault(k, 0)
        counts[latent][k] += 1
    majority = {latent: max(of, key=of.get) for latent, of in counts.items()}
    return sum(majority.get(latent) == k for latent, k in results[votes:]) / votes


def higgins_loop(codes, factors, points: int, seed: int) -> float:
    """One point at a time: the mean difference of 64 pairs that share a factor."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    codes, generator = np.asarray(codes), np.random.default_rng(seed)
    features, chosen = [], []
    for _ in range(2 * points):
        k = int(generator.integers(len(factors[0])))
        differences = []
        for _ in range(64):
            left = int(generator.integers(len(factors)))
            (right,) = group_of(factors, k, factors[left][k], generator, 1)
            differences.append(abs(codes[left] - codes[right]))
        features.append(sum(differences) / 64)
        chosen.append(k)
    model = LogisticRegression(max_iter=1000).fit(features[:points], chosen[:points])
    return model.score(features[points:], chosen[points:])


def area_under_curve(scores, positive) -> float:
    """Share of pairs of a positive and a negative that are in order; ties count half."""
    ups = [s for s, p in zip(scores, positive, strict=True) if p]
    downs = [s for s, p in zip(scores, positive, strict=True) if not p]
    order = sum((u > d) + 0.5 * (u == d) for u in ups for d in downs)
    return order / (len(ups) * len(downs))


def udr_loop(codes, ranks) -> list[float]:
    """Spearman correlations latent by latent; the median over the other models."""
    import statistics

    def correlation(left, right) -> float:
        n = len(left)
        a, b = ranks(left), ranks(right)
        ma, mb = sum(a) / n, sum(b) / n
        covariance = sum((x - ma) * (y - mb) for x, y in zip(a, b, strict=True))
        return abs(covariance) / math.sqrt(
            sum((x - ma) ** 2 for x in a) * sum((y - mb) ** 2 for y in b)
        )

    def similarity(left, right) -> float:
        table = [[correlation(a, b) for b in right] for a in left]
        rows = sum(max(row) ** 2 / sum(row) for row in table)
        columns = sum(max(column) ** 2 / sum(column) for column in zip(*table, strict=True))
        return (rows + columns) / (len(left) + len(right))

    columns = [list(zip(*code, strict=True)) for code in codes]
    return [
        statistics.median(similarity(one, other) for other in columns if other is not one)
        for one in columns
    ]


def split_loop(decode, predict, latents, baselines, latent, project, alphas, weights) -> Tensor:
    """(batch, classes, groups): integrated gradients of one latent, each group's part of the move.

    `project(change, group)` is what a group alone keeps of a change; one point at a time.
    """
    rows = []
    for z, b in zip(latents, baselines, strict=True):
        total = torch.zeros(())
        for alpha, weight in zip(alphas, weights, strict=True):
            point = (b + alpha * (z - b))[None]
            moves = torch.autograd.functional.jacobian(decode, point)[0, ..., 0, latent]
            gradients = torch.autograd.functional.jacobian(predict, decode(point))[0]
            parts = [
                (gradients[:, 0] * project(moves[None], group)).flatten(1).sum(dim=1)
                for group in range(project.groups)
            ]
            total = total + weight * torch.stack(parts, dim=1) * (z - b)[latent]
        rows.append(total)
    return torch.stack(rows)
