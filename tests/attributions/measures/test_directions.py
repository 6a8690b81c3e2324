"""The trivial axes: nearest to the directions of the classes, whatever the code's own are."""

import numpy as np
import pytest
import torch
from scipy.linalg import hadamard, polar
from scipy.stats import ortho_group

from attributions.measures import (
    class_dependence,
    class_dependence_of_class_directions,
    class_directions,
)

FUNCTIONS = (class_directions, class_dependence_of_class_directions)


def drawn(classes=4, latents=6, n=300, seed=0):
    """What a path gives: the way, gradients to the predicted class and to each, predictions."""
    generator = torch.Generator().manual_seed(seed)
    draw = {"generator": generator, "dtype": torch.float64}
    moved = torch.randn(n, latents, **draw) + 0.3
    own = torch.randn(classes, latents, **draw)
    gradients = own + 0.4 * torch.randn(n, classes, latents, **draw)
    predicted = torch.randint(classes, (n,), generator=generator)
    return moved, gradients[range(n), predicted], gradients.mean(dim=0), predicted


def turn(size, seed=0):
    return torch.from_numpy(ortho_group.rvs(size, random_state=seed))


@pytest.mark.parametrize(("classes", "latents"), [(4, 6), (4, 4), (4, 3), (7, 4), (3, 1)])
def test_axes_are_orthonormal_and_the_nearest_to_the_directions(classes, latents):
    moved, gradients, class_gradients, predicted = drawn(classes, latents)
    axes = class_directions(moved, gradients, class_gradients, predicted)
    torch.testing.assert_close(axes @ axes.T, torch.eye(latents).double())
    kept = predicted.bincount().argsort(descending=True, stable=True)[:latents]
    wanted = (class_gradients - class_gradients.mean(dim=0))[kept]
    # Of all orthonormal rows the polar factor has the largest trace: the nuclear norm.
    nuclear = np.linalg.svd(wanted.numpy(), compute_uv=False).sum()
    assert (axes[: len(kept)] * wanted).sum().item() == pytest.approx(nuclear)


def test_with_more_classes_than_latents_the_axes_are_scipys_polar_factor():
    moved, gradients, class_gradients, predicted = drawn(classes=8, latents=5)
    kept = sorted(range(8), key=lambda index: -int((predicted == index).sum()))[:5]
    expected = polar((class_gradients - class_gradients.mean(dim=0))[kept].numpy())[0]
    found = class_directions(moved, gradients, class_gradients, predicted)
    torch.testing.assert_close(found, torch.from_numpy(expected))


def test_a_class_that_is_never_predicted_has_no_axis():
    moved, gradients, class_gradients, _ = drawn(classes=4, latents=5)
    expected = polar((class_gradients - class_gradients.mean(dim=0))[[1, 3]].numpy())[0]
    found = class_directions(moved, gradients, class_gradients, torch.tensor([1, 3, 1] * 100))
    torch.testing.assert_close(found[:2], torch.from_numpy(expected))


@pytest.mark.parametrize(("classes", "latents"), [(4, 6), (4, 4), (7, 4)])
def test_they_are_the_same_however_the_code_was_turned_before(classes, latents):
    moved, gradients, class_gradients, predicted = drawn(classes, latents)
    before = turn(latents)
    turned = (moved @ before.T, gradients @ before.T, class_gradients @ before.T, predicted)
    found = class_directions(*turned)
    plain = class_directions(moved, gradients, class_gradients, predicted)
    torch.testing.assert_close(found @ before, plain)
    assert class_dependence_of_class_directions(*turned) == class_dependence_of_class_directions(
        moved, gradients, class_gradients, predicted
    )


def test_the_figure_is_that_of_attributions_along_the_axes_one_by_one():
    moved, gradients, class_gradients, predicted = drawn(classes=5, latents=3, n=60)
    axes = class_directions(moved, gradients, class_gradients, predicted)
    attributions = torch.zeros(60, 3, dtype=torch.float64)
    for example in range(60):
        for axis in range(3):
            way = sum(axes[axis, i] * moved[example, i] for i in range(3))
            slope = sum(axes[axis, i] * gradients[example, i] for i in range(3))
            attributions[example, axis] = way * slope
    # As complete as before.
    torch.testing.assert_close(attributions.sum(dim=1), (moved * gradients).sum(dim=1))
    found = class_dependence_of_class_directions(moved, gradients, class_gradients, predicted)
    assert found == class_dependence(attributions, predicted)


@pytest.mark.parametrize("seed", range(3))
def test_classes_along_directions_of_their_own_are_found_behind_a_turn_that_hides_them(seed):
    """Each example lies along its class' direction; a Hadamard turn spreads it evenly."""
    generator = torch.Generator().manual_seed(seed)
    predicted = torch.arange(4).repeat(50)
    own = torch.nn.functional.one_hot(predicted).double()
    weights = torch.eye(4).double() - 0.25
    moved = 3 * own + 0.2 * torch.randn(200, 4, generator=generator, dtype=torch.float64)
    before = torch.from_numpy(hadamard(4)).double() / 2
    parts = (moved @ before.T, (weights @ before.T)[predicted], weights @ before.T, predicted)
    assert class_dependence(parts[0] * parts[1], predicted) < 0.3  # at most .022 on ten seeds
    assert class_dependence_of_class_directions(*parts) == 1


def test_nothing_to_follow_gives_orthonormal_axes_all_the_same():
    moved, predicted = torch.randn(20, 3), torch.arange(20) % 4
    axes = class_directions(moved, torch.zeros(20, 3), torch.zeros(4, 3), predicted)
    torch.testing.assert_close(axes @ axes.T, torch.eye(3).double())
    nothing = (moved, torch.zeros(20, 3), torch.zeros(4, 3), predicted)
    assert class_dependence_of_class_directions(*nothing) == 0


def test_single_precision_comes_back_as_it_went_in():
    moved, gradients, class_gradients, predicted = drawn()
    single = (moved.float(), gradients.float(), class_gradients.float(), predicted)
    found = class_dependence_of_class_directions(*single)
    assert found.dtype == torch.float32
    exact = class_dependence_of_class_directions(moved, gradients, class_gradients, predicted)
    assert found.item() == pytest.approx(exact.item(), abs=1e-6)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("wrong", range(4))
def test_what_does_not_belong_together_is_refused(function, wrong):
    parts = list(drawn())
    parts[wrong] = parts[wrong][:, :-1] if parts[wrong].ndim == 2 else parts[wrong][:-1]
    with pytest.raises(ValueError, match="`moved` and `gradients` must be .*same examples"):
        function(*parts)
