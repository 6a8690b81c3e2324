"""Does more of a latent speak for a class in every input, or does that depend on the others?"""

import torch
from torch import Tensor

from attributions.measures.intervals import Estimate, estimate_of
from attributions.trim import Trim

# A latent moves from its first to its last tenth: what the data shows, without outliers.
_ENDS = (0.1, 0.9)


def changes_along(trim: Trim, latents: Tensor, chosen: list[int]) -> Tensor:
    """How the outputs change as one latent moves from its first to its last tenth.

    All other latents keep each example's own value.

    Args:
        trim: What is explained.
        latents: `(n, latents)`.
        chosen: Indices of the latents that move, one at a time.

    Returns:
        `(n, chosen, classes)`.

    Examples:
        >>> trim = Trim(lambda inputs: inputs[:, :1] * inputs[:, 1:], torch.nn.Identity())
        >>> latents = torch.tensor([[0.0, 1.0], [1.0, -1.0]])
        >>> changes = changes_along(trim, latents, [0])
        >>> torch.allclose(changes, torch.tensor([[[0.8]], [[-0.8]]]))
        True
    """
    ends = latents.double().quantile(latents.new_tensor(_ENDS, dtype=torch.float64), dim=0)
    found = []
    for latent in chosen:
        outputs = []
        for end in ends[:, latent].to(latents):
            moved = latents.clone()
            moved[:, latent] = end
            with torch.no_grad():
                outputs.append(torch.cat([trim(some) for some in moved.split(256)]))
        found.append(outputs[1] - outputs[0])
    return torch.stack(found, dim=1)


def direction(changes: Tensor, *, generator: torch.Generator | None = None) -> Estimate:
    r"""Do latents push the outputs one way in all examples, or now one way and now the other?

    $$ \frac{\sum_{ic} |\sum_n \Delta_{nic}|}{\sum_{nic} |\Delta_{nic}|} $$

    1 where more of a latent always means more (or always less) of a class. 0 for *exclusive or*:
    there a latent says nothing alone, and the sign of its evidence is decided by another. Slopes,
    and sentences such as "high values speak for this class", then mean nothing.

    References:
        Goldstein, Kapelner, Bleich, Pitkin: Peeking Inside the Black Box: Visualizing Statistical
        Learning with Plots of Individual Conditional Expectation, 2015,
        https://arxiv.org/abs/1309.6392 (curves of single examples that cross are interactions).

    Args:
        changes: `(n, latents, classes)`, of `changes_along`.
        generator: Of the resamples, on the CPU; default: torch's global one.

    Returns:
        The share with its interval, in [0, 1]; NaN where nothing changes.

    Raises:
        ValueError: `changes` is of another shape.

    Examples:
        >>> signs = torch.tensor([1.0, -1.0, 1.0, -1.0]).view(4, 1, 1)
        >>> direction(signs).value, direction(signs.abs()).value
        (0.0, 1.0)
    """
    if changes.ndim != 3 or not changes.numel():
        raise ValueError(
            f"`changes` must have shape (n, latents, classes). Got {tuple(changes.shape)}. Take "
            "them of changes_along."
        )
    signed = changes.double().flatten(1)
    total = signed.abs().sum(dim=1, keepdim=True)

    def net(means: Tensor) -> Tensor:
        return means[..., :-1].abs().sum(dim=-1) / means[..., -1]

    return estimate_of(torch.cat([signed, total], dim=1), net, generator=generator)
