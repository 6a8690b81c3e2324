import pytest
import torch
from torch import nn

from attributions import Trim, path_contributions
from attributions.codes import Block, blocks_of, with_noise_of
from attributions.penalties.sparsity import path_l1_over_l2
from tests.trimvae.models.cases import MODELS, SHAPE, predictor, reached
from trimvae import ALAE, InfoGAN, StyleGAN2, explain
from trimvae.models.generative import gradient_penalty, nonsaturating

# Five steps do not bring a StyleGAN2 near its images.
FEW_STEPS = pytest.mark.filterwarnings("ignore:`n_steps` must suffice")


def test_the_game_has_the_closed_form_of_its_logits():
    real, fake = torch.tensor([0.3, -1.0]), torch.tensor([0.2, 2.0])
    expected = -(real.sigmoid().log()).mean() - ((1 - fake.sigmoid()).log()).mean()
    torch.testing.assert_close(nonsaturating(real, fake), expected)
    torch.testing.assert_close(nonsaturating(None, fake), -(fake.sigmoid().log()).mean())


def test_the_gradient_penalty_of_a_linear_score_is_half_its_squared_weight():
    score = nn.Linear(6, 1).double()
    inputs = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    penalty = gradient_penalty(score(inputs)[:, 0], inputs)
    torch.testing.assert_close(penalty, 0.5 * score.weight.pow(2).sum())
    (gradient,) = torch.autograd.grad(penalty, score.weight)
    torch.testing.assert_close(gradient, score.weight)


@FEW_STEPS
def test_a_code_draws_decodes_and_encodes_in_its_shapes(model, images):
    model.eval()
    latents = model.draw(6, torch.Generator().manual_seed(0))
    assert latents.shape == (6, model.latent_size)
    assert torch.equal(model.decode(latents), model.decode(latents))
    assert model.encode(images).shape == (24, model.latent_size)
    assert model.baseline(2).shape == (2, model.latent_size)
    assert model.sample(3, generator=torch.Generator().manual_seed(0)).shape == (3, *SHAPE)
    blocks = {InfoGAN: 3, ALAE: 1, StyleGAN2: 4}[type(model)]
    assert len(blocks_of(model, model.latent_size)) == blocks


def test_every_update_moves_its_own_modules_and_no_other(model, images):
    for update in model.train().updates():
        own = [parameter for module in update.modules for parameter in module.parameters()]
        total, terms = update.loss(images, torch.Generator().manual_seed(0))
        assert terms
        gradients = torch.autograd.grad(total, own, allow_unused=True)
        assert any(gradient is not None and gradient.abs().max() > 0 for gradient in gradients)
        if update.shares is None:
            assert all(gradient is not None for gradient in gradients), update.name


@pytest.mark.parametrize("kind", [ALAE, StyleGAN2])
def test_attributions_of_drawn_latents_reach_the_mapping(kind):
    model, classifier = MODELS[kind](), predictor()
    latents = model.draw(6, torch.Generator().manual_seed(0))
    contributions = path_contributions(
        Trim(classifier, model.decode), latents, model.baseline(1).expand_as(latents), 0, n_steps=4
    )
    decoder = model.generator if kind is ALAE else model.synthesis
    assert reached(path_l1_over_l2(contributions), decoder, model.mapping)


def test_explained_through_its_latents_the_output_is_the_predictors_own(model, images):
    classifier, model = predictor(), model.eval()
    if isinstance(model, StyleGAN2):
        model.encode = lambda inputs: model.draw(24, torch.Generator().manual_seed(0))
    latents = model.encode(images).detach()
    trim = Trim(classifier, model.decode)
    residual = trim.residual(images, latents)
    torch.testing.assert_close(trim(latents, residual), classifier(images), atol=1e-4, rtol=1e-4)
    explanation = explain(model, classifier, images, n_steps=50)
    assert explanation.metrics["completeness_error"] <= 0.05
    torch.testing.assert_close(explanation.baselines[:1, :1], model.baseline(1)[:, :1])


@FEW_STEPS
def test_an_ignored_latent_is_attributed_exactly_nothing(model, images):
    model.eval()
    if isinstance(model, StyleGAN2):  # the first layer's vector is read by the first convolution
        reader = model.averaged[1].convolutions[0].affine
    else:
        reader = model.generator[0]
    with torch.no_grad():
        reader.weight[:, 1] = 0
    explanation = explain(model, predictor(), images, n_steps=4)
    assert explanation.attributions[..., 1].abs().max() == 0
    assert explanation.attributions[..., 0].abs().max() > 0


def test_blocks_must_cover_the_latents():
    class Code:
        blocks = (Block("a", 0, 2), Block("b", 3, 4))

    with pytest.raises(ValueError, match="`blocks` must cover 4 latents, each once"):
        blocks_of(Code(), 4)
    Code.blocks = (Block("a", 0, 2), Block("b", 2, 4, "noise"))
    starts = with_noise_of(Code(), torch.zeros(1, 4), torch.ones(3, 4))
    assert starts.tolist() == [[0, 0, 1, 1]] * 3
