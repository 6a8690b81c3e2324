"""The searches themselves: the nearest move on the grid, and the nearest along the gradient."""

import pytest
import torch

from attributions.predictors import as_predictor
from tests.trimvae.explanation.made import Identity, linear
from trimvae import find_counterfactuals
from trimvae.explanation.asking import as_frozen
from trimvae.explanation.counterfactuals import grid_between
from trimvae.explanation.searching import Margins, outputs_at, sparse_moves


def test_a_linear_decision_is_flipped_by_its_strongest_latent_at_the_closed_form_distance():
    latents = torch.tensor([[1.0, 1.0, 1.0]])
    predictor = linear([1.0, 3.0, 0.5])  # the margin is 4.5: the second latent falls by 1.5
    found = find_counterfactuals(Identity(), predictor, latents)
    assert found.figures.valid.all()
    expected = torch.tensor([[1.0, -0.5, 1.0]])
    torch.testing.assert_close(found.latents, expected, atol=2e-3, rtol=0)
    assert found.figures.changed_latents.item() == 1


def test_the_nearest_move_is_taken_and_not_the_surest():
    """The first latent can go further beyond the boundary, the second reaches it sooner.

    The margin is 2. The first latent has weight 1 and room for 4.9, the second weight 2 and room
    for 1.5, of which it needs 1.
    """
    latents = torch.tensor([[2.4, -1.0]])
    predictor = linear([1.0, 2.0], bias=1.6)
    found = find_counterfactuals(Identity(), predictor, latents)
    assert found.figures.valid.all()
    expected = torch.tensor([[2.4, -2.0]])
    torch.testing.assert_close(found.latents, expected, atol=2e-3, rtol=0)


def test_several_latents_move_where_one_does_not_suffice():
    latents = torch.tensor([[2.0, 2.0]])
    predictor = linear([1.0, 1.0], bias=-0.9)
    alone = find_counterfactuals(Identity(), predictor, latents, n_latents=1, low=torch.zeros(2))
    assert not alone.figures.valid.item()
    both = find_counterfactuals(Identity(), predictor, latents, n_latents=2, low=torch.zeros(2))
    assert both.figures.valid.item()
    assert both.latents.sum() == pytest.approx(0.9, abs=2e-3)


def test_a_search_that_fails_ends_as_close_as_it_came():
    latents = torch.tensor([[2.0, 1.0]])
    found = find_counterfactuals(Identity(), linear([1.0, 3.0], bias=9.0), latents, n_latents=1)
    assert not found.figures.valid.item()
    assert found.latents.tolist() == [[2.0, -2.5]]  # of the two the move that lowers it most


def test_two_latents_that_must_move_both_move_no_further_than_they_must():
    """The margin of 4 is used up exactly; neither latent could do it alone."""
    latents = torch.tensor([[0.0, 0.0]])
    found = find_counterfactuals(
        Identity(), linear([1.0, 0.9], bias=4.0), latents, n_latents=2, n_steps=2
    )
    assert found.figures.valid.item()
    assert bool((found.latents < -1).all())
    margin = found.latents @ torch.tensor([1.0, 0.9]) + 4.0
    assert margin.item() == pytest.approx(0.0, abs=2e-3)


def test_what_need_not_have_moved_goes_back():
    """The grid of two values overshoots; bisection draws the latent back to the boundary."""
    found = find_counterfactuals(
        Identity(), linear([1.0, 0.0], bias=0.3), torch.zeros(1, 2), n_steps=2
    )
    torch.testing.assert_close(found.latents, torch.tensor([[-0.3, 0.0]]), atol=2e-3, rtol=0)


def test_the_gradient_shift_finds_the_nearest_point_of_a_linear_boundary():
    latents = torch.tensor([[0.6, 0.9, -0.2], [0.1, 0.1, 0.4]])
    weight = torch.tensor([1.0, 2.0, -0.5])
    found = find_counterfactuals(Identity(), linear(weight.tolist()), latents, method="gradient")
    distance = (latents @ weight).abs() / weight.norm()
    assert found.figures.valid.all()
    torch.testing.assert_close(found.figures.latent_distance, distance, atol=2e-3, rtol=0)


def test_neither_search_leaves_the_range():
    latents, low, high = torch.zeros(1, 2), torch.tensor([-0.5, -1.0]), torch.tensor([0.5, 1.0])
    for method in ("sparse", "gradient"):
        found = find_counterfactuals(
            Identity(), linear([1.0, 0.2], bias=3.0), latents, method=method, low=low, high=high
        )
        assert not found.figures.valid.item()
        assert bool(((found.latents >= low) & (found.latents <= high)).all())


def test_examples_that_are_searched_together_move_as_each_does_alone():
    latents = torch.randn(9, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = torch.tensor([[1.0, -2.0, 0.5, 0.3], [0.2, 1.0, -1.5, 2.0], [-1.0, 0.4, 1.0, -0.6]])

    def predictor(inputs: torch.Tensor) -> torch.Tensor:
        return inputs.tanh() @ weights.to(inputs).T

    together = find_counterfactuals(Identity(), predictor, latents, target=2, n_latents=2)
    alone = [
        find_counterfactuals(Identity(), predictor, row.unsqueeze(0), target=2, n_latents=2)
        for row in latents
    ]
    torch.testing.assert_close(together.latents, torch.cat([one.latents for one in alone]))
    assert 0 < together.figures.valid.sum() <= 9


@pytest.fixture(scope="module")
def bent():
    """Margins of a predictor that bends, at 70 examples of five latents, and a grid."""
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(size, generator=generator) for size in ((5, 6), (6, 3)))
    predictor = as_predictor(lambda rows: (rows @ first.to(rows)).sin() @ second.to(rows))
    latents = torch.randn(70, 5, generator=generator, dtype=torch.float64)
    code = as_frozen(Identity())
    before = outputs_at(code, predictor, latents)
    nowhere = torch.full((70,), -1)
    margins = Margins(code, predictor, nowhere, before.argmax(dim=1))
    grid = grid_between(latents.amin(dim=0), latents.amax(dim=0), 4)
    return margins, latents, grid


def test_a_search_in_parts_finds_what_a_search_of_the_whole_finds(bent, monkeypatch):
    whole = sparse_moves(*bent, 3)
    moves = (whole != bent[1]).sum(dim=1)
    assert {1, 2} <= set(moves.tolist())  # several rounds
    for numbers in (1, 50, 333):
        monkeypatch.setattr("trimvae.explanation.searching._NUMBERS_AT_ONCE", numbers)
        torch.testing.assert_close(sparse_moves(*bent, 3), whole, rtol=0, atol=1e-12)


def test_no_more_moves_are_tried_at_once_than_fit(bent, monkeypatch):
    """Of 1,088 latents and eleven values all moves of 64 examples take 3.3 GB."""
    margins, latents, grid = bent
    rows = []

    class Counted:
        def at(self, points, examples):
            rows.append(len(points))
            return margins.at(points, examples)

    monkeypatch.setattr("trimvae.explanation.searching._NUMBERS_AT_ONCE", 100 * 5)
    sparse_moves(Counted(), latents, grid, 2)
    assert max(rows) == 100
    assert sum(rows) > 64 * 5 * 4


def test_a_latent_moves_once_and_is_not_tried_again(bent):
    margins, latents, grid = bent
    rows = []

    class Never:
        def at(self, points, examples):
            rows.append(len(points))
            return margins.at(points, examples) - 1e3

    sparse_moves(Never(), latents[:2], grid, 3)
    tried = [count for count in rows if count > 2]
    assert tried == [2 * 5 * 4, 2 * 4 * 4, 2 * 3 * 4]


def test_margins_that_are_known_are_not_asked_for_again(bent):
    margins, latents, grid = bent
    whole = sparse_moves(margins, latents, grid, 2)
    every = [
        latents.index_fill(1, torch.tensor(latent), float(value))
        for latent, values in enumerate(grid)
        for value in values
    ]
    known = torch.stack([margins.at(points, slice(None)) for points in every], dim=1)
    rows = []

    class Counted:
        def at(self, points, examples):
            rows.append(len(points))
            return margins.at(points, examples)

    found = sparse_moves(Counted(), latents, grid, 2, first=known.view(70, 5, 4))
    torch.testing.assert_close(found, whole, rtol=0, atol=1e-12)
    flipped = int((known > 0).any(dim=1).sum())
    assert sum(count for count in rows if count % 16 == 0 and count > 70) <= (70 - flipped) * 16
