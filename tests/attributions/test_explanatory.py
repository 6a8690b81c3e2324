import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from attributions import Contrast, Trim, explanatory_axes, integrated_gradients
from attributions.codes import Block, Decoder
from attributions.measures import participation_ratio
from attributions.transforms import Identity, PrincipalComponents
from attributions.turned import AlongAxes

N = 400


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def rotation(size, seed=0):
    return torch.linalg.qr(draw(size, size, seed=seed).double())[0].float()


class Mixed(nn.Module):
    """A code that holds the factors mixed: latents are `inputs @ matrix.T`."""

    def __init__(self, matrix, blocks=()):
        super().__init__()
        self.register_buffer("matrix", matrix)
        self.blocks = blocks

    def encode(self, inputs):
        return inputs @ self.matrix.T

    def decode(self, latents):
        return latents @ self.matrix


class ThreeBits(nn.Module):
    """Tells the corners of the first three inputs apart; others it does not see."""

    def __init__(self):
        super().__init__()
        self.register_buffer("corners", torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3))

    def forward(self, inputs):
        return 5 * torch.tanh(2 * inputs[:, :3]) @ self.corners.T


@pytest.fixture(scope="module")
def inputs():
    return 2 * torch.rand(N, 5, generator=torch.Generator().manual_seed(0)) - 1


@pytest.fixture(scope="module")
def turned(inputs):
    return explanatory_axes(Mixed(rotation(5)), ThreeBits(), inputs)


def test_factors_that_a_code_has_mixed_are_found(turned, inputs):
    latents = turned.encode(inputs)
    correlation = torch.corrcoef(torch.cat([latents[:, :3], inputs[:, :3]], dim=1).T)[:3, 3:]
    assert correlation.abs().max(dim=0).values.min() > 0.9
    assert correlation.abs().max(dim=1).values.min() > 0.9


def test_two_codes_of_the_same_data_agree(turned, inputs):
    other = explanatory_axes(Mixed(rotation(5, seed=7)), ThreeBits(), inputs)
    ours, theirs = (code.encode(inputs)[:, :3] for code in (turned, other))
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=0)


def test_a_code_whose_latents_are_the_factors_keeps_them(inputs):
    code = explanatory_axes(Identity((5,)), ThreeBits(), inputs)
    matrix = code.axes.matrix.abs()
    assert matrix[:3, :3].max(dim=1).values.min() > 0.98
    assert matrix[3:, 3:].max(dim=1).values.min() > 0.98


def test_reconstructions_and_decisions_stay(turned, inputs):
    torch.testing.assert_close(turned.decode(turned.encode(inputs)), inputs, atol=1e-5, rtol=0)


def test_attributions_are_those_of_integrated_gradients_and_add_up_to_the_same():
    inputs, predictor = draw(60, 4).double(), ThreeBits().double()
    code = Mixed(rotation(4).double())
    turned = explanatory_axes(code, predictor, inputs)
    ours, before = (
        integrated_gradients(
            Trim(predictor, Decoder(each)), each.encode(inputs), n_steps=64
        ).attributions
        for each in (turned, code)
    )
    torch.testing.assert_close(ours.sum(dim=2), before.sum(dim=2))
    matrix = turned.axes.matrix
    latents = code.encode(inputs).unsqueeze(1)
    gradients = before / latents
    torch.testing.assert_close(ours, (latents @ matrix.T) * (gradients @ matrix.T))


def test_axes_are_ordered_by_evidence_and_signed_for_their_class(turned, inputs):
    predictor = ThreeBits()
    found = integrated_gradients(
        Trim(predictor, Decoder(turned)), turned.encode(inputs), n_steps=32
    ).attributions
    predicted = predictor(inputs).argmax(dim=1)
    scores = found[torch.arange(N), predicted]
    share = scores[: N * 3 // 4].abs().mean(dim=0)
    assert (share.diff() < 1e-3 * share[0]).all()
    latents = turned.encode(inputs)
    for axis in range(3):
        slopes = torch.stack(
            [
                (scores[:, axis] * latents[:, axis])[predicted == c].sum()
                / latents[predicted == c, axis].pow(2).sum()
                for c in range(8)
            ]
        )
        # Nearly as much speaks for the class at the other end of a bit.
        assert slopes.max() > 0.8 * slopes.abs().max()


def test_figures_are_those_of_the_axes_fitted_and_held_out(turned):
    figures = turned.axes.figures
    for name in ("effective_latents", "class_dependence", "within_class_share"):
        fitted, held_out = figures[name]
        assert fitted == pytest.approx(held_out, abs=0.35)
    assert figures["effective_latents"][0] < 3.2
    whole = explanatory_axes(Identity((5,)), ThreeBits(), draw(60, 5), held_out=0.0)
    assert torch.tensor(whole.axes.figures["class_dependence"]).isnan().tolist() == [False, True]


def test_the_same_generator_gives_the_same_axes(inputs):
    one, other = (
        explanatory_axes(
            Mixed(rotation(5)), ThreeBits(), inputs, generator=torch.Generator().manual_seed(4)
        ).axes.matrix
        for _ in range(2)
    )
    assert torch.equal(one, other)


def test_axes_of_a_code_along_axes_are_those_of_the_code(turned, inputs):
    again = explanatory_axes(turned, ThreeBits(), inputs)
    torch.testing.assert_close(again.encode(inputs), turned.encode(inputs))
    assert not isinstance(again.code, AlongAxes)


def test_a_linear_layer_whitens_and_finds_the_same_factors(inputs):
    stretched = torch.diag(torch.tensor([9.0, 1.0, 1.0, 3.0, 1.0])) @ rotation(5)
    code = Mixed(stretched)
    code.decode = lambda latents: latents @ torch.linalg.inv(stretched).T
    found = explanatory_axes(code, ThreeBits(), inputs, layer="linear")
    latents = found.encode(inputs)
    torch.testing.assert_close(latents[: N * 3 // 4].T.cov(), torch.eye(5), atol=1e-3, rtol=0)
    correlation = torch.corrcoef(torch.cat([latents[:, :3], inputs[:, :3]], dim=1).T)[:3, 3:]
    assert correlation.abs().max(dim=0).values.min() > 0.9
    assert found.axes.scale.max() > 3


@pytest.mark.parametrize("explained", [Contrast(0, 7), "output"])
def test_of_one_output_the_code_keeps_its_axes(inputs, explained):
    predictor = ThreeBits() if explained != "output" else nn.Linear(5, 1)
    code = explanatory_axes(Mixed(rotation(5)), predictor, inputs, explained=explained)
    torch.testing.assert_close(
        code.axes.matrix.abs().sort(dim=1).values[:, -1], torch.ones(5, dtype=torch.float64)
    )


def test_two_classes_are_one_factor(inputs):
    code = explanatory_axes(Mixed(rotation(5)), nn.Linear(5, 2), inputs)
    assert set(code.axes.matrix.abs().unique().tolist()) == {0.0, 1.0}


def test_noise_categories_and_dead_latents_are_left_alone(inputs):
    blocks = (
        Block("kind", 0, 1, "categorical"),
        Block("free", 1, 5),
        Block("noise", 5, 6, "noise"),
    )
    wide = torch.cat([inputs, draw(N, 1, seed=3)], dim=1)
    wide[:, 4] = 0.5
    code = explanatory_axes(Mixed(torch.eye(6), blocks), ThreeBits(), wide)
    matrix = code.axes.matrix
    for index in (0, 4, 5):
        assert torch.equal(matrix[index], torch.eye(6, dtype=torch.float64)[index])
        assert torch.equal(matrix[:, index], torch.eye(6, dtype=torch.float64)[index])


def test_one_latent_is_given_a_sign(inputs):
    predictor = nn.Linear(1, 3)
    code = explanatory_axes(Identity((1,)), predictor, inputs[:, :1])
    assert code.axes.matrix.abs().tolist() == [[1.0]]


def test_fewer_latents_than_factors_and_classes_never_predicted(inputs):
    class Silent(ThreeBits):
        def forward(self, inputs):
            return super().forward(inputs) - 100 * torch.tensor([1.0, 1, 0, 0, 0, 0, 0, 0])

    code = explanatory_axes(PrincipalComponents(inputs, 2), Silent(), inputs)
    assert torch.isfinite(code.encode(inputs)).all()
    assert participation_ratio(code.axes.matrix).isfinite().all()


@pytest.mark.filterwarnings("ignore:`predictor` must vary")
def test_warnings(inputs):
    with pytest.warns(UserWarning, match=r"as many as the latents squared \(25\)"):
        explanatory_axes(Identity((5,)), ThreeBits(), inputs[:30])
    constant = nn.Linear(5, 3)
    nn.init.zeros_(constant.weight)
    with pytest.warns(UserWarning, match="`predictor` must vary over `inputs`"):
        explanatory_axes(Identity((5,)), lambda x: constant(x) + 1e-9 * x[:, :3], inputs)
    biased = nn.Linear(5, 3)
    biased.bias.data[1] = 100
    with pytest.warns(UserWarning, match="predicted as several classes"):
        explanatory_axes(Identity((5,)), biased, inputs)


class NoGradient(Mixed):
    def decode(self, latents):
        return super().decode(latents).detach()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer": "bent"}, "`layer` must be one of"),
        ({"class_price": -1.0}, "`class_price` must be at least 0"),
        ({"class_price": float("nan")}, "`class_price` must be at least 0"),
        ({"held_out": 1.0}, "`held_out` must be from 0 to below 1"),
        ({"n_steps": 0}, "`n_steps` must be"),
        ({"inputs": torch.full((30, 5), torch.nan)}, "`inputs` must be finite"),
        ({"inputs": torch.zeros(1, 5)}, "`inputs` must be at least 2"),
    ],
)
def test_what_is_out_of_range_is_named(inputs, change, message):
    arguments = {"inputs": inputs, **change}
    with pytest.raises(ValueError, match=message):
        explanatory_axes(Identity((5,)), ThreeBits(), **arguments)


def test_an_array_is_taken_as_the_tensor_and_a_data_set_is_refused(inputs):
    code = Mixed(rotation(5))
    expected, found = (
        explanatory_axes(code, ThreeBits(), given).axes.matrix for given in (inputs, inputs.numpy())
    )
    assert torch.equal(found, expected)
    with pytest.raises(TypeError, match=r"`inputs` must be a tensor or .*Got TensorDataset"):
        explanatory_axes(code, ThreeBits(), TensorDataset(inputs))


def test_a_code_that_draws_its_latents_is_refused(inputs):
    code = Mixed(rotation(5))
    code.encode = lambda points: points + torch.randn_like(points)
    with pytest.raises(ValueError, match=r"`code.encode` must not change from call to call"):
        explanatory_axes(code, ThreeBits(), inputs)


def test_a_decoder_without_gradient_is_refused(inputs):
    with pytest.raises(RuntimeError, match="must be differentiable"):
        explanatory_axes(NoGradient(rotation(5)), ThreeBits(), inputs)


def test_code_predictor_and_generators_are_left_as_they_were(inputs):
    code, predictor = Mixed(rotation(5)), nn.Sequential(ThreeBits(), nn.Dropout())
    predictor.train()
    state, before = torch.get_rng_state(), code.matrix.clone()
    explanatory_axes(code, predictor, inputs)
    assert predictor.training
    assert torch.equal(code.matrix, before)
    assert torch.equal(torch.get_rng_state(), state)
