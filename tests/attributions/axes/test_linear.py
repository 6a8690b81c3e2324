import pytest
import torch

from attributions.axes import Linear, Rotation
from tests.attributions.axes.made import GROUPS, SIZE, correlated, layers, orthogonal, within


def test_a_rotation_multiplies_by_its_matrix_whose_rows_are_the_axes():
    matrix, latents = orthogonal(5), torch.randn(20, 5).double()
    rotation = Rotation(5, matrix=matrix)
    torch.testing.assert_close(rotation.matrix, matrix)
    torch.testing.assert_close(rotation(latents), latents @ matrix.T)
    torch.testing.assert_close(rotation(matrix[2]), torch.eye(5).double()[2])


def test_as_they_are_made_both_are_the_identity_to_the_bit():
    latents = torch.randn(20, 5)
    for axes in (Rotation(5), Linear(5)):
        assert torch.equal(axes(latents), latents)
        assert torch.equal(axes.inverse(latents), latents)
        assert torch.equal(axes.matrix, torch.eye(5).double())


def test_training_turns_and_nothing_else():
    rotation, latents = Rotation(4), torch.randn(30, 4)
    wanted = latents @ orthogonal(4).float().T
    wanted = wanted if torch.linalg.det(orthogonal(4)) > 0 else wanted * torch.tensor([-1, 1, 1, 1])
    optimizer = torch.optim.Adam(rotation.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        (rotation(latents) - wanted).pow(2).mean().backward()
        optimizer.step()
    torch.testing.assert_close(rotation(latents), wanted, rtol=0, atol=1e-2)
    square = rotation.matrix @ rotation.matrix.T
    torch.testing.assert_close(square, torch.eye(4).double())
    torch.testing.assert_close(rotation.inverse(rotation(latents)), latents, rtol=0, atol=1e-6)


def test_lengths_are_kept_by_a_rotation_and_told_by_a_linear_layer():
    rotation, linear = layers()["rotation"], layers()["linear"]
    latents = torch.randn(20, SIZE).double()
    torch.testing.assert_close(rotation(latents).norm(dim=1), latents.norm(dim=1))
    assert torch.equal(rotation.scale, torch.ones(SIZE).double())
    step = linear.inverse(torch.eye(SIZE).double()) - linear.inverse(torch.zeros(1, SIZE).double())
    torch.testing.assert_close(linear.scale, step.norm(dim=1))


def test_whitened_latents_have_no_mean_no_correlation_and_unit_variance_in_each_group():
    latents = correlated()
    coordinates = Linear.fitted(latents, GROUPS)(latents)
    for group in GROUPS:
        own = coordinates[:, group]
        torch.testing.assert_close(own.T.cov(), torch.eye(len(group)).double())
        torch.testing.assert_close(own.mean(dim=0), torch.zeros(len(group)).double())
    assert torch.equal(coordinates[:, [1, 4]], latents[:, [1, 4]])


def test_the_whitening_is_the_one_nearest_to_the_latents():
    latents = correlated()
    whitening = Linear.fitted(latents).matrix
    variances, directions = torch.linalg.eigh(latents.T.cov())
    expected = directions @ torch.diag(variances.rsqrt()) @ directions.T
    torch.testing.assert_close(whitening, expected)
    torch.testing.assert_close(whitening, whitening.T)  # symmetric: of all whitenings, ZCA


def test_the_matrix_is_that_of_rotation_and_whitening():
    linear, latents = layers()["linear"], correlated()
    start = linear(torch.zeros(1, SIZE).double())
    torch.testing.assert_close(linear(latents), latents @ linear.matrix.T + start)


def test_only_the_rotation_of_a_linear_layer_is_trained():
    assert [name for name, _ in Linear.fitted(correlated()).named_parameters()] == ["angles"]
    turned = Linear.fitted(correlated()).turned(within(((0, 1, 2, 3, 4, 5),)))
    torch.testing.assert_close(turned(correlated()).T.cov(), torch.eye(SIZE).double())


def test_directions_that_hardly_vary_are_warned_of_and_stretched_to_a_floor():
    latents = correlated(size=3)
    latents[:, 2] = latents[:, 0]
    with pytest.warns(UserWarning, match="Got 1 of 3 that vary less than 1e-06 of the largest"):
        linear = Linear.fitted(latents)
    torch.testing.assert_close(linear.inverse(linear(latents)), latents)
    assert linear.scale.min() >= 0.99e-3 * linear.scale.max()


def test_bad_latents_are_said():
    with pytest.raises(ValueError, match=r"more examples than there are latents to whiten \(6\)"):
        Linear.fitted(correlated(6))
    with pytest.raises(ValueError, match="`latents` must vary to be whitened"):
        Linear.fitted(torch.full((20, 3), 1.7))
    with pytest.raises(ValueError, match=r"must be finite, of shape \(n, size\).*with NaN"):
        Linear.fitted(torch.full((20, 3), torch.nan))
    with pytest.raises(
        ValueError, match=r"must be finite, of shape \(n, size\). Got shape \(20,\)\."
    ):
        Linear.fitted(torch.ones(20))
    assert Linear.fitted(correlated(6), groups=((0, 1),)).groups == ((0, 1),)  # enough for two
