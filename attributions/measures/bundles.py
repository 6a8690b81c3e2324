"""A latent draws a bundle: which of its parts does the predictor respond to?"""

import torch
from torch import Tensor

from attributions.checks import check_counts
from attributions.methods.shapley import exact_shapley
from attributions.methods.within import check_splitting, transform_change, transform_gradient
from attributions.predictors import Function
from attributions.transforms.base import Transform


def drawn_shares(before: Tensor, after: Tensor, transform: Transform) -> Tensor:
    r"""Each part's share of the energy of a change: of what a latent draws when it moves.

    $$ e_G = \sum_{k \in G} (T \Delta)_k\, (T^{-\top} \Delta)_k, \qquad
       \sum_G e_G = \lVert \Delta \rVert^2 $$

    with the change $\Delta$ from `before` to `after`, summed over examples. For an orthonormal
    transform these are sums of squared coefficients (Parseval). Parts of one that is not
    orthogonal may work against each other: those below 0 count as 0.

    Args:
        before: `(batch, *event)`.
        after: `(batch, *event)`.
        transform: Linear and exactly invertible, for this shape.

    Returns:
        `(groups,)`, which add up to 1; NaN where nothing changes.

    Raises:
        TypeError: `transform` is none.
        ValueError: It does not fit the inputs, is not linear, or loses something.

    Examples:
        >>> from attributions.transforms.parts import Parts
        >>> halves = Parts((4,), {"first": torch.arange(4) < 2})
        >>> after = torch.tensor([[3.0, 0.0, 1.0, 0.0]])
        >>> drawn_shares(torch.zeros(1, 4), after, halves).allclose(torch.tensor([0.9, 0.1]))
        True
    """
    check_splitting(transform, before)
    change = after - before
    products = transform_change(transform, change) * transform_gradient(transform, change)
    energy = transform.by_group(products).sum(dim=0).clamp_min(0)
    return energy / energy.sum()


def caused_shares(
    function: Function,
    before: Tensor,
    after: Tensor,
    transform: Transform,
    *,
    max_points: int = 64,
) -> Tensor:
    r"""Each part's share of the change of the outputs, by changing the inputs in that part alone.

    A part is put into the inputs alone and after every set of the others, and its effects are
    averaged over all orders: its Shapley value $\phi_G$, a vector with an entry for each output.
    They add up to the whole change $\Delta f$; the share is along that change, summed over
    examples:

    $$ c_G = \frac{\sum_n \phi_{nG} \cdot \Delta f_n}{\sum_n \lVert \Delta f_n \rVert^2}, \qquad
       \sum_G c_G = 1 $$

    Needs no gradient, and unlike a share of absolute gradients does not count what cancels out
    along the way. A part that works against the whole has a share below 0.

    References:
        Shapley: A Value for n-Person Games, 1953; Lundberg, Lee: A Unified Approach to
        Interpreting Model Predictions, 2017, https://arxiv.org/abs/1705.07874

    Args:
        function: Inputs `(batch, *event)` to outputs `(batch, classes)`, such as a
            `Trim.of_inputs`.
        before: `(batch, *event)`.
        after: `(batch, *event)`.
        transform: Linear and exactly invertible, for this shape; asks the function once for every
            subset of its groups.
        max_points: Most inputs asked at once.

    Returns:
        `(groups,)`, which add up to 1; NaN where the outputs do not change.

    Raises:
        TypeError: `transform` is none.
        ValueError: It does not fit the inputs, is not linear, loses something, or has more than 14
            groups; or `max_points` is below 1.

    Examples:
        >>> from attributions.transforms import Identity
        >>> weight = torch.tensor([[2.0], [1.0], [1.0]])
        >>> before, after = torch.zeros(5, 3), torch.ones(5, 3)
        >>> shares = caused_shares(lambda x: x @ weight, before, after, Identity((3,)))
        >>> shares.allclose(torch.tensor([0.5, 0.25, 0.25]))
        True
    """
    check_splitting(transform, before)
    parts = torch.cat([before.unsqueeze(1), _parts(transform, after - before)], dim=1)

    def with_parts(present: Tensor, held: Tensor) -> Tensor:
        first = present.new_ones(len(present), 1)
        changed = torch.einsum("bg,bg...->b...", torch.cat([first, present], dim=1), held)
        outputs: Tensor = function(changed)
        return outputs

    present = before.new_ones(len(before), len(transform.group_names))
    effects = exact_shapley(with_parts, present, residual=parts, max_points=max_points)
    with torch.no_grad():
        said = [
            torch.cat([function(inputs.clone()) for inputs in end.split(int(max_points))])
            for end in (before, after)
        ]
    along = effects * (said[1] - said[0]).unsqueeze(2)
    shares: Tensor = along.sum(dim=(0, 1)) / along.sum()
    return shares


def integrated_shares(
    function: Function,
    before: Tensor,
    after: Tensor,
    transform: Transform,
    *,
    n_steps: int = 16,
    max_points: int = 256,
) -> Tensor:
    r"""Each part's share of the change of the outputs, by integrated gradients from end to end.

    $$ c_G = \frac{\sum_{nc} \phi_{ncG}\, \Delta f_{nc}}{\sum_{nc} \Delta f_{nc}^2}, \qquad
       \phi_{ncG} = \sum_{k \in G} (T \Delta)_k \int_0^1
       \Bigl(T^{-\top} \frac{\partial f_c}{\partial x}(x + \alpha \Delta)\Bigr)_k d\alpha $$

    What `caused_shares` says by trying all subsets of the parts, for any number of them: columns
    of a table, places of a picture. The two agree where effects of the parts add up.

    References:
        Sundararajan, Taly, Yan: Axiomatic Attribution for Deep Networks, 2017,
        https://arxiv.org/abs/1703.01365 (of a game, the Aumann-Shapley value).

    Args:
        function: Differentiable, inputs `(batch, *event)` to outputs `(batch, classes)`, such as a
            `Trim.of_inputs`.
        before: `(batch, *event)`.
        after: `(batch, *event)`.
        transform: Linear and exactly invertible, for this shape.
        n_steps: Points of the midpoint rule.
        max_points: Most inputs asked at once.

    Returns:
        `(groups,)`, which add up to 1; NaN where the outputs do not change.

    Raises:
        TypeError: `transform` is none.
        ValueError: It does not fit the inputs, is not linear or loses something; or a count is
            below 1.

    Examples:
        >>> from attributions.transforms import Identity
        >>> weight = torch.tensor([[2.0], [1.0], [1.0]])
        >>> before, after = torch.zeros(5, 3), torch.ones(5, 3)
        >>> shares = integrated_shares(lambda x: x @ weight, before, after, Identity((3,)))
        >>> shares.allclose(torch.tensor([0.5, 0.25, 0.25]))
        True
    """
    check_counts(n_steps=n_steps, max_points=max_points)
    n_steps, max_points = int(n_steps), int(max_points)
    check_splitting(transform, before)
    total = torch.zeros(len(transform.group_names), dtype=before.dtype, device=before.device)
    some = max(1, max_points // n_steps)
    for start, end in zip(before.split(some), after.split(some), strict=True):
        change = end - start
        with torch.no_grad():
            along: Tensor = function(end.clone()) - function(start.clone())
        slopes = _mean_gradients(function, start, change, along, n_steps)
        products = transform_change(transform, change) * transform_gradient(transform, slopes)
        total += transform.by_group(products).sum(dim=0)
    return total / total.sum()


def common_share(drawn: Tensor, caused: Tensor) -> Tensor:
    r"""How far the predictor responds to what is drawn: what two lists of shares have in common.

    $\sum_G \min(d_G, c_G)$ is 1 where each part counts as much as it is drawn, and near 0 where
    the predictor responds to a part that is hardly there. Shares below 0 count as 0.

    Args:
        drawn: `(groups,)`, of `drawn_shares`.
        caused: `(groups,)`, of `caused_shares`.

    Returns:
        Scalar, from 0 to 1; NaN where one of the two is.

    Examples:
        >>> common_share(torch.tensor([0.9, 0.1]), torch.tensor([0.0, 1.0])).item()
        0.10000000149011612
    """
    kept = caused.clamp_min(0)
    return torch.minimum(drawn, kept / kept.sum()).sum()


def _mean_gradients(
    function: Function, before: Tensor, change: Tensor, along: Tensor, n_steps: int
) -> Tensor:
    """Gradients of the outputs along a direction, at the middles of equal steps: `(batch, *event)`.

    One pass for all outputs, however many there are.
    """
    middles = (torch.arange(n_steps, device=before.device, dtype=before.dtype) + 0.5) / n_steps
    ways = middles.view(-1, *[1] * before.ndim) * change
    with torch.enable_grad():
        points = (before + ways).flatten(0, 1).detach().requires_grad_(True)
        said = (function(points) * along.repeat(n_steps, 1)).sum()
        (gradients,) = torch.autograd.grad(said, points)
    return gradients.view(n_steps, *before.shape).mean(dim=0)


def _parts(transform: Transform, changes: Tensor) -> Tensor:
    """What each group alone draws of changes, `(batch, groups, *event)`; they add up to them."""
    coefficients = transform_change(transform, changes)
    with torch.no_grad():
        nothing = transform.decode(torch.zeros_like(coefficients[:1]))
        each = [
            transform.decode(coefficients * (transform.groups == group)) - nothing
            for group in range(len(transform.group_names))
        ]
    return torch.stack(each, dim=1)
