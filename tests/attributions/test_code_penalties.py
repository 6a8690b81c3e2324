import pytest
import torch
from torch import nn

from attributions import (
    GroupSparsity,
    Hessian,
    Independence,
    InformationFlow,
    JacobianSparsity,
    NearestNeighbour,
)
from attributions.code_penalties import (
    CodePenalty,
    group_l1_over_l2,
    hessian,
    information,
    jacobian_l1,
    jacobian_l1_over_l2,
    nearest_neighbour,
    penalty_named,
    pointwise_independence,
)
from tests.cases import smooth_decoder, smooth_predictor
from tests.reference import jacobian_loop, mutual_information_loop
from trimvae import VAE, fit


def test_pointwise_independence_is_the_off_diagonal_of_the_jacobian():
    torch.manual_seed(1)
    encoder = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    decoder, inputs = smooth_decoder(), torch.randn(4, 6).double()
    with torch.no_grad():
        latents = encoder(inputs)
        residual = inputs - decoder(latents)
    expected = 0.0
    for example in range(4):  # the residual belongs to its example

        def again(z, example=example):
            return encoder(decoder(z) + residual[example])

        rows = jacobian_loop(again, latents[example : example + 1])[0]
        expected += (rows.abs().sum() - rows.diagonal().abs().sum()).item() / 4
    assert pointwise_independence(encoder, decoder, inputs).item() == pytest.approx(expected)


def test_jacobian_penalties_are_those_of_central_differences():
    decoder, latents = smooth_decoder(), torch.randn(4, 3).double()
    columns = jacobian_loop(decoder, latents).transpose(1, 2)
    expected = columns.abs().sum(dim=(1, 2)).mean()
    torch.testing.assert_close(jacobian_l1(decoder, latents), expected, rtol=1e-6, atol=0)
    ratio = (columns.abs().sum(dim=2) / columns.norm(dim=2)).mean()
    torch.testing.assert_close(jacobian_l1_over_l2(decoder, latents), ratio, rtol=1e-6, atol=0)


def test_only_the_ratio_ignores_the_stretching_of_latents():
    decoder, latents = smooth_decoder(), torch.randn(4, 3).double()

    def stretched(z):
        return decoder(z / 10)

    assert jacobian_l1(stretched, 10 * latents) < 0.11 * jacobian_l1(decoder, latents)
    torch.testing.assert_close(
        jacobian_l1_over_l2(stretched, 10 * latents), jacobian_l1_over_l2(decoder, latents)
    )


def test_the_hessian_penalty_of_a_quadratic_is_known():
    """The second difference is v'Hv; its variance over signs is 2 sum over i != j of H_ij^2."""
    matrix = torch.tensor([[1.0, 3.0], [3.0, -2.0]]).double()

    def quadratic(z):
        return 0.5 * torch.einsum("bi,ij,bj->b", z, matrix, z)[:, None]

    latents = torch.randn(3, 2).double()
    generator = torch.Generator().manual_seed(0)
    found = hessian(quadratic, latents, k=4000, generator=generator).item()
    assert found == pytest.approx(2 * (9 + 9), rel=0.1)
    assert hessian(lambda z: z.pow(3), latents, k=4).item() == pytest.approx(0, abs=1e-9)
    with pytest.raises(ValueError, match="`k` must be at least 2"):
        hessian(quadratic, latents, k=1)


def test_the_nearest_neighbour_is_the_nearest():
    latents, data = torch.randn(5, 3), torch.randn(7, 3)
    generator = torch.Generator().manual_seed(3)
    found = nearest_neighbour(lambda z: z, latents, data, generator=generator)
    generator.manual_seed(3)
    chosen = torch.randint(3, (5, 1), generator=generator)
    moved = latents.scatter(1, chosen, torch.randn(5, 1, generator=generator))
    distances = [min((row - other).pow(2).sum().item() for other in data) for row in moved]
    assert found.item() == pytest.approx(sum(distances) / 5, rel=1e-5)


def test_group_sparsity_counts_a_class_latents_together():
    own = torch.tensor([[3.0, 0.0, 0.0], [-3.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    target = torch.tensor([0, 0, 1])
    assert group_l1_over_l2(own, target).item() == pytest.approx(1, abs=1e-5)
    split = torch.tensor([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0]])  # each sparse, not alike
    assert group_l1_over_l2(split, torch.zeros(2)).item() == pytest.approx(2**0.5, abs=1e-5)


def test_information_is_minus_the_loop_over_the_same_samples():
    predictor = smooth_predictor(features=3)
    generator = torch.Generator().manual_seed(0)
    like = torch.zeros(1, dtype=torch.float64)
    seen = []

    def function(z):
        seen.append(predictor(z).softmax(dim=1))
        return predictor(z)

    found = information(function, 3, (1,), n_alpha=6, n_beta=5, like=like, generator=generator)
    expected = mutual_information_loop(seen[0].unflatten(0, (6, 5)).tolist())
    assert found.item() == pytest.approx(-expected)


ALL = ("group_sparsity", "hessian", "independence", "information_flow", "jacobian_sparsity",
       "monotonicity", "nearest_neighbour", "sparsity")  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_every_penalty_is_reached_by_name_and_falls_in_training(name):
    torch.manual_seed(0)
    inputs = torch.randn(256, 6) @ torch.randn(6, 6)
    predictor = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
    with torch.no_grad():
        predictor[2].weight *= 5
    vae = VAE.dense((6,), latent_size=3, hidden=(32,))
    options = {"max_epochs": 6, "batch_size": 64, "penalty_every": 1, "progress": False}
    history = fit(vae, predictor, inputs, penalties=[name], **options)
    plain = VAE.dense((6,), latent_size=3, hidden=(32,))
    plain.load_state_dict(vae.state_dict())
    weighted = fit(
        plain, predictor, inputs, penalties=[penalty_named(name, 50.0)], prediction_weight=1e-6,
        learning_rate=1e-3, **options,
    )  # fmt: skip
    assert weighted[-1][name] < history[-1][name]


@pytest.mark.parametrize(
    "penalty",
    [Independence(), JacobianSparsity(), JacobianSparsity(form="l1"), Hessian(), NearestNeighbour(),
     GroupSparsity(), InformationFlow(chosen=(0,))],
)  # fmt: skip
def test_gradients_of_code_penalties_are_those_of_finite_differences(penalty):
    from attributions import Trim
    from attributions.code_penalties import Step

    decoder, predictor = smooth_decoder(), smooth_predictor()
    encoder = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    inputs, weight = torch.randn(4, 6).double(), decoder[0].weight
    latents = torch.randn(4, 3).double()

    def value(flat):
        with torch.no_grad():
            weight.copy_(flat.detach())

        def decode(z):
            return torch.func.functional_call(decoder, {"0.weight": flat}, (z,))

        return penalty(
            Step(
                trim=Trim(predictor, decode),
                encode=encoder,
                inputs=inputs,
                latents=latents,
                target=torch.tensor([0, 1, 1, 3]),
                alphas=torch.tensor([[0.3, 0.8]]).double(),
                generator=torch.Generator().manual_seed(0),
            )
        )

    start = weight.detach().clone().requires_grad_()
    if isinstance(penalty, NearestNeighbour | Independence):
        # Pieces (which neighbour, which sign) have kinks; between them the gradient is exact.
        assert torch.autograd.gradcheck(value, start, atol=1e-4, eps=1e-7)
    else:
        assert torch.autograd.gradcheck(value, start, atol=1e-5)


def test_bad_penalties_are_refused():
    with pytest.raises(ValueError, match="`penalties` must be named among .*'hessian'"):
        fit(VAE.dense((6,), 2), nn.Linear(6, 3), torch.randn(8, 6), penalties=["l0"])
    with pytest.raises(ValueError, match="`weight` must be at least 0"):
        Hessian(-1.0)
    with pytest.raises(ValueError, match="`form` must be one of"):
        JacobianSparsity(1.0, form="l0")
    with pytest.raises(TypeError, match="abstract"):
        CodePenalty(1.0)
