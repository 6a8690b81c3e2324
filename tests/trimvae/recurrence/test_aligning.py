"""Axes in the order and sign of the reference, and which code is the reference."""

import pytest
import torch
from torch import nn

from attributions.axes import Rotation
from attributions.transforms import Identity
from attributions.turned import AlongAxes
from tests.trimvae.recurrence.made import draw
from trimvae import VAE, explain
from trimvae.recurrence.aligning import Alignment, alignment, found_again, medoid, realigned


class Read(nn.Module):
    """A code that reads rows of a matrix, and draws them."""

    def __init__(self, matrix):
        super().__init__()
        self.register_buffer("matrix", matrix)

    def encode(self, inputs):
        return inputs @ self.matrix.T

    def decode(self, latents):
        return latents @ torch.linalg.pinv(self.matrix).T


def explained(matrix, inputs):
    return explain(Read(matrix), nn.Linear(4, 3), inputs, n_steps=4)


def test_the_code_nearest_to_the_others_is_the_reference_and_of_equals_the_first():
    inputs, basis = draw(200, 4), torch.eye(4)
    torch.manual_seed(0)
    between = basis[:2] + basis[2:]
    seen = [explained(rows, inputs) for rows in (basis[:2], between, basis[2:])]
    assert medoid(seen) == 1
    assert medoid([seen[0], seen[0]]) == 0


def signed_permutation(size):
    """Whether each row and column holds a single 1 or -1."""
    return lambda turn: (
        turn.shape == (size, size)
        and bool((turn.abs().sum(dim=0) == 1).all())
        and bool((turn.abs().sum(dim=1) == 1).all())
    )


def test_order_and_sign_are_undone():
    inputs = draw(100, 4)
    order = [2, 0, 3, 1]
    turned = torch.eye(4)[order] * torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])
    one, other = explained(torch.eye(4), inputs), explained(turned, inputs)
    matched = one.compare(other).matched
    found = alignment(Rotation(4), one, other, matched)
    assert signed_permutation(4)(found.turn)
    torch.testing.assert_close(other.latents @ found.turn.float().T, one.latents)
    assert found.matched.tolist() == [0, 1, 2, 3]


def test_what_is_in_no_group_stays_and_groups_stay_apart():
    """Latents 0 and 3 are a group, 1 and 2 another's or none's."""
    inputs = draw(100, 4)
    one, other = explained(torch.eye(4), inputs), explained(-torch.eye(4)[[3, 2, 1, 0]], inputs)
    matched = one.compare(other).matched
    assert matched.tolist() == [3, 2, 1, 0]
    found = alignment(Rotation(4, [(0, 3)]), one, other, matched)
    assert found.matched.tolist() == [0, 2, 1, 3]
    expected = torch.zeros(4, 4, dtype=torch.float64)
    expected[0, 3] = expected[3, 0] = -1
    expected[1, 1] = expected[2, 2] = 1
    assert torch.equal(found.turn, expected)


def test_axes_without_match_come_last_in_their_own_order():
    inputs = draw(100, 4)
    one, other = explained(torch.eye(4)[[2]], inputs), explained(torch.eye(4), inputs)
    matched = one.compare(other).matched
    assert matched.tolist() == [2]
    found = alignment(Rotation(4), one, other, matched)
    assert found.matched.tolist() == [0]
    assert found.turn.argmax(dim=1).tolist() == [2, 0, 1, 3]
    back = alignment(Rotation(1), other, one, other.compare(one).matched)
    assert back.matched.tolist() == [-1, -1, 0, -1]


@pytest.mark.parametrize("kind", ["vae", "other"])
def test_a_code_is_realigned_as_a_copy_of_its_own_kind(kind):
    torch.manual_seed(0)
    axes = Rotation(3, matrix=torch.linalg.qr(torch.randn(3, 3))[0])
    bare = VAE.dense((3,), 3, hidden=(4,)).eval() if kind == "vae" else Identity((3,))
    code = bare.with_axes(axes) if kind == "vae" else AlongAxes(bare, axes)
    turn = torch.eye(3, dtype=torch.float64)[[1, 2, 0]] * torch.tensor([[1.0], [-1.0], [1.0]])
    inputs = torch.randn(5, 3)

    def latents(code):
        found = code.encode(inputs)
        return found.mean if kind == "vae" else found

    before = latents(code)
    found = realigned(code, Alignment(turn, torch.arange(3)))
    assert type(found) is type(code)
    torch.testing.assert_close(latents(found), before @ turn.float().T)
    torch.testing.assert_close(found.decode(latents(found)), code.decode(before))
    assert torch.equal(latents(code), before)


def test_figures_of_pairs_stand_in_the_row_of_the_reference_s_axis():
    """The other has the second factor first, half of the third, and nothing of the first."""
    inputs = draw(4000, 4)
    rows = torch.stack([torch.eye(4)[1], torch.eye(4)[2] + torch.eye(4)[3]])
    seen = [explained(torch.eye(4)[:3], inputs), explained(rows, inputs)]
    beside = [seen[0].compare(other) for other in seen]
    aligned = [
        alignment(Rotation(size), seen[0], other, each.matched)
        for size, other, each in zip((3, 2), seen, beside, strict=True)
    ]
    found = found_again(seen, 0, beside, aligned)
    assert found.matched.tolist() == [[0, -1], [1, 0], [2, 1]]
    half = 0.5**0.5
    expected = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, half]], dtype=torch.float64)
    # On ten seeds within .02 of the truth.
    torch.testing.assert_close(found.correlation, expected, atol=0.04, rtol=0)
    torch.testing.assert_close(found.likeness, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.shares, seen[0].shares.double())
    assert set(found.agreement) == {
        "same_strongest",
        "attribution_cosine",
        "within_class_correlation",
    }
    assert found.agreement["same_strongest"][0] == 1
    assert found.agreement["same_strongest"][1] == beside[1].same_strongest
