"""Does an explanation say more than the class? Axes that stand for classes, and axes they share."""

import torch
from torch import Tensor


def class_dependence(attributions: Tensor, predicted: Tensor) -> Tensor:
    r"""Normalised mutual information of an example's strongest latent and its predicted class.

    $$ \frac{2\, I(\arg\max_i |a_i|;\, c)}{H(\arg\max_i |a_i|) + H(c)} $$

    Near 1 each class has a latent of its own: "it is a 4 because of its 4-ness" is sparse,
    complete and faithful, and says nothing. Factors that classes share give less. Pitfall: a
    code in which one latent is always strongest gives 0 as well; read `classes_per_latent` and the
    effective latents over the data set beside it.

    References:
        Strehl, Ghosh: Cluster Ensembles, 2002, https://www.jmlr.org/papers/v3/strehl02a.html
        (normalised mutual information); Mahinpei et al.: Promises and Pitfalls of Black-Box
        Concept Learning Models, 2021, https://arxiv.org/abs/2106.13314 (concepts that encode the
        label).

    Args:
        attributions: `(batch, latents)`, to the predicted class of each example.
        predicted: `(batch,)`, the predicted classes.

    Returns:
        Scalar in [0, 1]; NaN where all examples have one class and one strongest latent.

    Raises:
        ValueError: Not one class for each example.

    Examples:
        >>> attributions = torch.tensor([[3.0, 0.0], [2.0, 1.0], [0.0, -4.0], [1.0, 5.0]])
        >>> class_dependence(attributions, torch.tensor([0, 0, 1, 1])).item()
        1.0
        >>> class_dependence(attributions, torch.tensor([0, 1, 0, 1])).item()
        0.0
    """
    _check(attributions, predicted)
    strongest = attributions.abs().argmax(dim=1)
    classes = predicted.unique(return_inverse=True)[1]
    table = torch.zeros(
        attributions.shape[1], int(classes.max()) + 1, dtype=torch.float64, device=classes.device
    )
    ones = torch.ones(len(classes), dtype=torch.float64, device=classes.device)
    counts = table.index_put((strongest, classes), ones, accumulate=True)
    return normalised_mutual_information(counts).to(attributions.dtype)


def normalised_mutual_information(counts: Tensor) -> Tensor:
    r"""Mutual information of two partitions over the mean of their entropies, from a table.

    $$ \frac{2\, I(r;\, c)}{H(r) + H(c)} $$

    References:
        Strehl, Ghosh: Cluster Ensembles, 2002, https://www.jmlr.org/papers/v3/strehl02a.html

    Args:
        counts: `(rows, columns)`, how many examples are in both: not negative, not all 0.

    Returns:
        Scalar in [0, 1]; NaN where one row and one column hold everything.

    Examples:
        >>> normalised_mutual_information(torch.tensor([[2.0, 0.0], [0.0, 2.0]])).item()
        1.0
        >>> normalised_mutual_information(torch.ones(2, 2)).item()
        0.0
    """
    joint = counts.double() / counts.sum()
    of_rows, of_columns = _entropy(joint.sum(dim=1)), _entropy(joint.sum(dim=0))
    shared = of_rows + of_columns - _entropy(joint.flatten())
    return 2 * shared / (of_rows + of_columns)


def class_told(counts: Tensor) -> Tensor:
    r"""How much of the class does the strongest latent tell? Theil's uncertainty coefficient.

    $$ \frac{I(r;\, c)}{H(c)} $$

    1 where each latent is strongest in one class alone; about half where each serves two of four,
    as axes do whose two ends stand for a class each. `normalised_mutual_information` is high there
    as well, since the class tells the latent.

    References:
        Theil: On the Estimation of Relationships Involving Qualitative Variables, 1970,
        https://doi.org/10.1086/224909

    Args:
        counts: `(latents, classes)`, in how many examples of a class a latent is strongest: not
            negative, not all 0.

    Returns:
        Scalar in [0, 1]; NaN where there is one class.

    Examples:
        >>> round(class_told(torch.tensor([[2.0, 0.0], [0.0, 2.0]])).item(), 6)
        1.0
        >>> halves = torch.tensor([[2.0, 2.0, 0.0, 0.0], [0.0, 0.0, 2.0, 2.0]])
        >>> round(class_told(halves).item(), 6)
        0.5
    """
    joint = counts.double() / counts.sum()
    of_latents, of_classes = _entropy(joint.sum(dim=1)), _entropy(joint.sum(dim=0))
    told: Tensor = (of_latents + of_classes - _entropy(joint.flatten())) / of_classes
    return told


def within_class_share(attributions: Tensor, predicted: Tensor) -> Tensor:
    r"""Share of the attributions' variance that lies within classes.

    $$ \frac{\sum_n \lVert a_n - \bar a_{c(n)} \rVert^2}{\sum_n \lVert a_n - \bar a \rVert^2} $$

    What an explanation says of *this* example beyond its class; the rest is a table with a row for
    each class.

    Args:
        attributions: `(batch, latents)`, to the predicted class of each example.
        predicted: `(batch,)`, the predicted classes.

    Returns:
        Scalar in [0, 1]; NaN where all attributions are alike.

    Raises:
        ValueError: Not one class for each example.

    Examples:
        >>> attributions = torch.tensor([[1.0], [1.0], [2.0], [2.0]])
        >>> within_class_share(attributions, torch.tensor([0, 0, 1, 1])).item()
        0.0
        >>> within_class_share(attributions, torch.tensor([0, 1, 0, 1])).item()
        1.0
    """
    whole: Tensor = (attributions - attributions.mean(dim=0)).pow(2).sum()
    return beyond_class(attributions, predicted).pow(2).sum() / whole


def beyond_class(attributions: Tensor, predicted: Tensor) -> Tensor:
    """Attributions less the mean of their class: what is said of an example beyond its class.

    Args:
        attributions: `(batch, latents)`.
        predicted: `(batch,)`, the predicted classes.

    Returns:
        `(batch, latents)`, of mean 0 in every class.

    Raises:
        ValueError: Not one class for each example.
    """
    _check(attributions, predicted)
    classes = predicted.unique(return_inverse=True)[1]
    counts = classes.bincount().to(attributions.dtype)
    sums = attributions.new_zeros(len(counts), attributions.shape[1])
    means: Tensor = sums.index_add(0, classes, attributions) / counts.unsqueeze(1)
    return attributions - means[classes]


def classes_per_latent(attributions: Tensor, predicted: Tensor, least: float = 0.1) -> Tensor:
    r"""In how many classes each latent takes part.

    A latent takes part in a class if it carries at least `least` of the class' evidence, the mean
    $|a|$ over its examples. (Of a latent that hardly matters, noise is alike in all classes: an
    effective number of classes would count them all.)

    Args:
        attributions: `(batch, latents)`, to the predicted class of each example.
        predicted: `(batch,)`, the predicted classes.
        least: Share of a class' evidence, above 0 and at most 1.

    Returns:
        `(latents,)`, whole numbers: 0 for a latent that no class uses, 1 for one that stands for
        a class.

    Raises:
        ValueError: Not one class for each example, or `least` is out of range.

    Examples:
        >>> attributions = torch.tensor([[1.0, 2.0], [-1.0, 0.0]])
        >>> classes_per_latent(attributions, torch.tensor([0, 1])).tolist()
        [2, 1]
    """
    _check(attributions, predicted)
    if not 0 < least <= 1:
        raise ValueError(f"`least` must be above 0 and at most 1. Got {least}. Use 0.1.")
    size = attributions.abs()
    means = torch.stack([size[predicted == index].mean(dim=0) for index in predicted.unique()])
    whole = means.sum(dim=1, keepdim=True)
    return ((means >= least * whole) & (whole > 0)).sum(dim=0)


def _entropy(probabilities: Tensor) -> Tensor:
    return -torch.xlogy(probabilities, probabilities).sum()


def _check(attributions: Tensor, predicted: Tensor) -> None:
    if attributions.ndim != 2 or predicted.shape != attributions.shape[:1]:
        raise ValueError(
            "`predicted` must hold one class for each row of attributions (batch, latents). Got "
            f"{tuple(predicted.shape)} for {tuple(attributions.shape)}. Pass the attributions to "
            "the predicted class, and those classes."
        )
