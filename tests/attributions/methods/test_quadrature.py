import pytest
import torch

from attributions.methods.quadrature import quadrature_of


def integral(function, *arguments):
    alphas, weights = quadrature_of(*arguments)
    return float((weights * function(alphas)).sum())


@pytest.mark.parametrize("n_steps", [1, 2, 5])
def test_gauss_is_exact_up_to_the_degree_that_it_promises(n_steps):
    like = torch.ones((), dtype=torch.float64)
    for degree in range(2 * n_steps):
        found = integral(lambda alphas, degree=degree: alphas**degree, n_steps, like)
        assert found == pytest.approx(1 / (degree + 1), abs=1e-14)
    beyond = integral(lambda alphas: alphas ** (2 * n_steps), n_steps, like)
    assert beyond != pytest.approx(1 / (2 * n_steps + 1), abs=1e-6)


def test_simpson_is_exact_for_cubic_functions_and_has_its_known_weights():
    like = torch.ones((), dtype=torch.float64)
    for degree in range(4):
        found = integral(lambda alphas, degree=degree: alphas**degree, 5, like, "simpson")
        assert found == pytest.approx(1 / (degree + 1), abs=1e-14)
    alphas, weights = quadrature_of(5, like, "simpson")
    torch.testing.assert_close(alphas, torch.tensor([0, 0.25, 0.5, 0.75, 1]).double())
    torch.testing.assert_close(12 * weights, torch.tensor([1, 4, 2, 4, 1]).double())


def test_points_are_of_the_dtype_that_is_asked_for():
    for dtype in (torch.float32, torch.float64):
        for rule in ("gauss", "simpson"):
            alphas, weights = quadrature_of(3, torch.ones((), dtype=dtype), rule)
            assert alphas.dtype == weights.dtype == dtype


def test_points_that_do_not_fit_the_rule_are_refused():
    like = torch.ones(())
    with pytest.raises(ValueError, match="`n_steps` must be at least 1. Got 0"):
        quadrature_of(0, like)
    for n_steps in (1, 4):
        with pytest.raises(
            ValueError, match=f"odd and at least 3 for Simpson's rule. Got {n_steps}"
        ):
            quadrature_of(n_steps, like, "simpson")
    with pytest.raises(ValueError, match="`rule` must be 'gauss' or 'simpson'. Got 'romberg'"):
        quadrature_of(3, like, "romberg")
