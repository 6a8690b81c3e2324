"""InfoGAN, ALAE, inversion and adapters: games on tiny images, identities in full."""

import pytest
import torch
from torch import nn

from attributions import Sparsity, Trim, path_contributions
from attributions.codes import Block, blocks_of, with_noise_of
from tests.cases import assert_same_snapshot, convolutional_predictor, snapshot
from trimvae import explain
from trimvae.latent_models import (
    ALAE,
    GeneratorAdapter,
    InfoGAN,
    StyleGAN2,
    fit_generator,
    fit_inverter,
    invert,
)
from trimvae.latent_models.adversarial import (
    AdversarialTraining,
    gradient_penalty,
    nonsaturating,
    statistics_fixed,
)
from trimvae.latent_models.stylegan2 import StyledConvolution
from trimvae.report import sentences

SHAPE = (1, 8, 8)


def infogan(**options):
    torch.manual_seed(0)
    defaults = {"n_categories": 3, "n_continuous": 1, "noise_size": 4, "channels": 4}
    return InfoGAN(SHAPE, **{**defaults, "inversion_steps": 5, **options})


def alae():
    torch.manual_seed(0)
    return ALAE(SHAPE, latent_size=5, channels=4)


def predictor(classes=4):
    torch.manual_seed(1)
    return convolutional_predictor(classes=classes, size=8).eval()


def stylegan(**options):
    torch.manual_seed(0)
    return StyleGAN2(SHAPE, **{"w_dim": 4, "channels": 4, "inversion_steps": 5, **options})


MODELS = {InfoGAN: infogan, ALAE: alae, StyleGAN2: stylegan}


@pytest.fixture(params=MODELS.values(), ids=["InfoGAN", "ALAE", "StyleGAN2"])
def model(request):
    return request.param()


@pytest.fixture
def images():
    return torch.rand(24, *SHAPE, generator=torch.Generator().manual_seed(2))


def weights(module):
    return torch.cat([value.flatten().float() for value in module.state_dict().values()])


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


def test_training_leaves_predictor_and_generators_alone_and_logs_every_term(model, images):
    classifier, state = predictor(), torch.get_rng_state()
    before, start = snapshot(classifier), weights(model)
    weight = 0.0 if isinstance(model, StyleGAN2) else 1.0
    history = fit_generator(
        model,
        classifier,
        images,
        prediction_weight=weight,
        penalties=[Sparsity(1.0), "group_sparsity"],
        max_epochs=2,
        batch_size=8,
        progress=False,
    )
    assert len(history) == 2
    assert {"sparsity", "group_sparsity", "generator", "discriminator"} <= set(history[0])
    assert ("prediction" in history[0]) == bool(weight)
    assert_same_snapshot(before, snapshot(classifier))
    assert torch.equal(state, torch.get_rng_state())
    assert not torch.equal(weights(model), start)
    assert int(model.batches) == 6


def reached(total, *modules):
    """Whether a gradient that is not 0 comes to each module."""
    found = []
    for module in modules:
        gradients = torch.autograd.grad(
            total, list(module.parameters()), retain_graph=True, allow_unused=True
        )
        found.append(any(g is not None and bool(g.abs().max() > 0) for g in gradients))
    return all(found)


def test_the_penalty_reaches_decoder_and_what_makes_the_latents(model, images):
    module = AdversarialTraining(model.train(), predictor(), penalties=[Sparsity(1.0)])
    total = module._explained(images, torch.Generator().manual_seed(0), {})
    parts = {
        InfoGAN: ("generator", "recogniser"),
        ALAE: ("generator", "encoder"),
        StyleGAN2: ("synthesis", "mapping"),
    }[type(model)]
    assert reached(total, *[getattr(model, name) for name in parts])


@pytest.mark.parametrize("kind", [ALAE, StyleGAN2])
def test_attributions_of_drawn_latents_reach_the_mapping(kind):
    model, classifier = MODELS[kind](), predictor()
    latents = model.draw(6, torch.Generator().manual_seed(0))
    contributions = path_contributions(
        Trim(classifier, model.decode), latents, model.baseline(1).expand_as(latents), 0, n_points=4
    )
    decoder = model.generator if kind is ALAE else model.synthesis
    assert reached(Sparsity()(contributions), decoder, model.mapping)


def test_attributions_in_training_do_not_depend_on_the_rest_of_the_batch():
    model = infogan().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    latents = model.draw(6, torch.Generator().manual_seed(0))
    with statistics_fixed(model):
        together, alone = model.decode(latents), model.decode(latents[:1])
    torch.testing.assert_close(together[:1], alone)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.generator[1].training
    # With the statistics of the batch it would.
    assert not torch.allclose(model.decode(latents)[:1], model.decode(latents[:2])[:1])


def test_the_prediction_loss_reaches_decoder_and_encoder(images):
    for model, encoder in ((infogan(), "recogniser"), (alae(), "encoder")):
        module = AdversarialTraining(model.train(), predictor(), prediction_weight=1.0)
        total = module._explained(images, torch.Generator().manual_seed(0), {})
        assert reached(total, model.generator, getattr(model, encoder))


def test_an_interrupted_game_ends_as_an_uninterrupted_one(model, images, tmp_path):
    options = {"batch_size": 8, "progress": False, "checkpoint_dir": tmp_path / "kept"}
    whole, again = MODELS[type(model)](), MODELS[type(model)]()
    fit_generator(whole, None, images, max_epochs=3, batch_size=8, progress=False)
    fit_generator(model, None, images, max_epochs=1, **options)
    history = fit_generator(again, None, images, max_epochs=3, resume=True, **options)
    assert len(history) == 3
    torch.testing.assert_close(weights(again), weights(whole), atol=0, rtol=0)


def test_saved_and_loaded_it_draws_the_same(model, tmp_path):
    model.eval().save(tmp_path / "model.safetensors")
    loaded = type(model).load(tmp_path / "model.safetensors")
    latents = model.draw(3, torch.Generator().manual_seed(0))
    assert torch.equal(loaded.decode(latents), model.decode(latents))
    other = ALAE if isinstance(model, InfoGAN) else InfoGAN
    with pytest.raises(ValueError, match="written by something else"):
        other.load(tmp_path / "model.safetensors")


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


def test_noise_is_decoded_and_explained_only_when_asked_for(images):
    model = infogan().eval()
    explanation = explain(model, predictor(), images, n_steps=8)
    assert explanation.attributions[..., 4:].abs().max() == 0
    assert explanation.latents[:, 4:].abs().max() > 0
    assert [block.name for block in explanation.blocks] == ["category", "continuous", "noise"]
    assert explanation.block_shares[2] == 0
    torch.testing.assert_close(
        explanation.by_block[..., 0], explanation.attributions[..., :3].sum(dim=2)
    )
    assert explanation.plot_blocks().axes
    asked = explain(model, predictor(), images, n_steps=8, explain_noise=True)
    assert asked.attributions[..., 4:].abs().max() > 0
    assert "the evidence is in: category" in " ".join(sentences(explanation))


def test_blocks_must_cover_the_latents():
    class Code:
        blocks = (Block("a", 0, 2), Block("b", 3, 4))

    with pytest.raises(ValueError, match="`blocks` must cover 4 latents, each once"):
        blocks_of(Code(), 4)
    Code.blocks = (Block("a", 0, 2), Block("b", 2, 4, "noise"))
    starts = with_noise_of(Code(), torch.zeros(1, 4), torch.ones(3, 4))
    assert starts.tolist() == [[0, 0, 1, 1]] * 3


def test_inversion_finds_the_latents_of_a_linear_generator():
    torch.manual_seed(0)
    decoder = nn.Linear(3, 20)
    latents = torch.randn(4, 3)
    images = decoder(latents).detach()
    found = invert(decoder, images, torch.zeros(1, 3), n_steps=600, learning_rate=0.1)
    torch.testing.assert_close(found.latents, latents, atol=1e-2, rtol=0)
    assert found.error.max() < 1e-3
    # All at once, each ends where it would alone.
    alone = invert(decoder, images[:1], torch.zeros(1, 3), n_steps=600, learning_rate=0.1)
    torch.testing.assert_close(alone.latents, found.latents[:1], atol=1e-3, rtol=0)


def test_latents_that_are_not_free_stay():
    decoder, images = nn.Linear(3, 8), torch.randn(2, 8)
    free = torch.tensor([False, True, True])
    found = invert(decoder, images, torch.ones(1, 3), free=free, n_steps=20, warn_above=None)
    assert found.latents[:, 0].tolist() == [1, 1]
    assert (found.latents[:, 1] != 1).all()


def test_an_inversion_that_does_not_arrive_is_said_with_its_error():
    with pytest.warns(UserWarning, match="`n_steps` must suffice .* Got 1, after which .*% of"):
        invert(nn.Linear(2, 30), 100 * torch.randn(5, 30), torch.zeros(1, 2), n_steps=1)
    with pytest.raises(ValueError, match="`decode` must return the shape of the images"):
        invert(nn.Linear(2, 30), torch.randn(5, 31), torch.zeros(1, 2))


def test_features_of_the_predictor_are_kept_too():
    torch.manual_seed(0)
    decoder, classifier = nn.Linear(2, 30), nn.Linear(30, 3)
    images = torch.randn(6, 30)
    options = {"n_steps": 300, "warn_above": None}
    plain = invert(decoder, images, torch.zeros(1, 2), **options)
    kept = invert(
        decoder, images, torch.zeros(1, 2), predictor=classifier, prediction_weight=50.0, **options
    )

    def missed(found):
        return (classifier(decoder(found.latents)) - classifier(images)).pow(2).sum()

    assert missed(kept) < 0.7 * missed(plain)


def test_a_feed_forward_inverter_learns_from_samples():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 64), nn.Tanh(), nn.Unflatten(1, SHAPE))
    code = GeneratorAdapter(network, w_dim=5)
    before = {name: value.clone() for name, value in code.state_dict().items()}
    with torch.no_grad():
        images = code.decode(code.draw(64, torch.Generator().manual_seed(5)))
    errors = []
    for n_steps in (1, 150):
        torch.manual_seed(0)
        inverter = fit_inverter(
            code, SHAPE, 5, n_steps=n_steps, generator=torch.Generator().manual_seed(0)
        )
        with torch.no_grad():
            errors.append((code.decode(inverter(images)) - images).pow(2).mean().item())
    assert errors[1] < 0.5 * errors[0]
    assert all(torch.equal(value, before[name]) for name, value in code.state_dict().items())


class NVlabsStyle(nn.Module):
    """What their generators offer, by name."""

    class Mapping(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 3)
            self.register_buffer("w_avg", torch.full((3,), 0.5))

        def forward(self, z, c, truncation_psi=1, **_):
            return self.linear(z).unsqueeze(1).repeat(1, 2, 1)

    class Synthesis(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(3, 64), nn.Linear(3, 64)])

        def forward(self, ws, noise_mode="random", force_fp32=False, **_):
            assert force_fp32
            image = self.layers[0](ws[:, 0]) + self.layers[1](ws[:, 1])
            if noise_mode == "random":
                image = image + torch.randn_like(image)
            return image.tanh().view(-1, 1, 8, 8)

    def __init__(self):
        super().__init__()
        self.mapping, self.synthesis = self.Mapping(), self.Synthesis()
        self.z_dim, self.w_dim, self.num_ws = 4, 3, 2


def test_an_object_is_bound_by_its_attributes_names(images):
    network = NVlabsStyle().eval()
    for space, size in (("w", 3), ("w+", 6)):
        code = GeneratorAdapter.of(network, space=space, inversion_steps=20)
        assert code.latent_size == size
        assert torch.equal(code.baseline(1), torch.full((1, size), 0.5))
        latents = code.draw(5, torch.Generator().manual_seed(0))
        assert latents.shape == (5, size)
        expected = network.synthesis(
            network.mapping(torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), None),
            noise_mode="const",
            force_fp32=True,
        )
        torch.testing.assert_close(code.decode(latents), (expected + 1) / 2)
    assert [block.name for block in code.blocks] == ["layer 0", "layer 1"]
    with pytest.warns(UserWarning, match="`n_steps` must suffice"):
        explanation = explain(code, predictor(), images[:4], n_steps=16)
    assert explanation.by_block.shape == (4, 4, 2)
    assert explanation.metrics["completeness_error"] < 0.05


def test_an_inverter_stands_for_the_optimisation(images):
    network = NVlabsStyle().eval()
    code = GeneratorAdapter.of(network, inverter=lambda inputs: torch.ones(len(inputs), 3))
    assert torch.equal(code.encode(images), torch.ones(24, 3))


def test_generators_that_cannot_be_explained_are_refused():
    with pytest.raises(TypeError, match="`network` must have the attributes .* without mapping"):
        GeneratorAdapter.of(nn.Linear(3, 4))

    class Detached(nn.Module):
        def forward(self, latents):
            return latents.detach()

    with pytest.raises(RuntimeError, match="`synthesis` must be differentiable"):
        GeneratorAdapter(Detached(), w_dim=4)
    noisy = nn.Sequential(nn.Linear(4, 8), nn.Dropout()).train()
    with pytest.raises(RuntimeError, match="`synthesis` must draw the same image twice"):
        GeneratorAdapter(noisy, w_dim=4)

    class Clamped(nn.Module):
        def forward(self, latents):
            return (30 * latents).clamp(-1, 1)

    with pytest.warns(UserWarning, match="`synthesis` must not clamp its images"):
        GeneratorAdapter(Clamped(), w_dim=4)
    with pytest.raises(ValueError, match="`space` must be 'w', or 'w.' of a generator"):
        GeneratorAdapter(nn.Linear(4, 8), w_dim=4, space="w+")


def test_a_generator_of_another_size_than_the_classifier_takes_is_named(images):
    code = GeneratorAdapter(nn.Sequential(nn.Linear(4, 100), nn.Unflatten(1, (1, 10, 10))), w_dim=4)
    with pytest.raises(ValueError, match="`decode` must return the shape of the images"):
        explain(code, predictor(), images)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prediction_weight": 1.0}, "`predictor` must be given"),
        ({"max_epochs": 0}, "`max_epochs` must be at least 1"),
    ],
)
def test_bad_arguments_of_the_game_are_named(model, images, options, message):
    with pytest.raises(ValueError, match=message):
        fit_generator(model, None, images, progress=False, **options)
    with pytest.raises(ValueError, match=r"`data` must hold images of shape \(1, 8, 8\)"):
        fit_generator(model, None, torch.rand(8, 1, 9, 9), progress=False)
    for make in (InfoGAN, ALAE):
        with pytest.raises(ValueError, match="`image_shape` must have sides divisible by 4"):
            make((1, 9, 8))


def test_penalties_made_for_vaes_are_refused(model, images):
    with pytest.raises(ValueError, match="`penalties` must be of attributions or of the decoder"):
        fit_generator(model, predictor(), images, penalties=["independence"], progress=False)


def test_a_modulated_convolution_does_not_depend_on_the_scale_of_its_styles():
    torch.manual_seed(0)
    layer = StyledConvolution(3, 5, w_dim=2)
    images, latents = torch.randn(4, 3, 6, 6), torch.randn(4, 2)
    drawn = layer(images, latents)
    with torch.no_grad():
        layer.affine.weight.mul_(10)
        layer.affine.bias.mul_(10)
    torch.testing.assert_close(layer(images, latents), drawn, atol=1e-5, rtol=1e-4)
    # The equation itself, with weights for each example.
    styles = layer.affine(latents)
    weight = layer.convolution.weight * layer.convolution.scale
    each = weight * styles[:, None, :, None, None]
    each = each / (each.pow(2).sum(dim=(2, 3, 4), keepdim=True) + 1e-8).sqrt()
    expected = torch.cat(
        [nn.functional.conv2d(images[i : i + 1], each[i], padding=1) for i in range(4)]
    )
    torch.testing.assert_close(drawn, expected, atol=1e-5, rtol=1e-4)


def test_adaptive_normalisation_sets_each_channels_deviation():
    layer = StyledConvolution(3, 5, w_dim=2, style="adain")
    drawn = layer(torch.randn(4, 3, 6, 6), torch.randn(4, 2) * 0)
    torch.testing.assert_close(
        drawn.std(dim=(2, 3), unbiased=False), torch.ones(4, 5), atol=1e-4, rtol=0
    )


def test_one_vector_in_every_layer_is_the_same_in_w_and_in_w_plus():
    model, flat = stylegan().eval(), stylegan(space="w").eval()
    flat.load_state_dict(model.state_dict())
    latents = flat.draw(3, torch.Generator().manual_seed(0))
    assert torch.equal(model.decode(latents.repeat(1, model.num_ws)), flat.decode(latents))


def test_full_truncation_leaves_one_image():
    model = stylegan().eval()
    latents = model.draw(4, torch.Generator().manual_seed(0), truncation=0.0)
    assert torch.equal(latents, model.baseline(4))
    images = model.decode(latents)
    assert (images - images[:1]).abs().max() == 0


def test_a_style_swapped_from_a_layer_on_leaves_those_below_as_they_were():
    synthesis = stylegan().synthesis
    one, other = torch.randn(2, 3, synthesis.num_ws, 4)
    for layer in range(1, synthesis.num_ws - 1):
        swapped = torch.cat([one[:, :layer], other[:, layer:]], dim=1)
        before, after = [], []
        synthesis(one, features=before)
        synthesis(swapped, features=after)
        assert all(torch.equal(*pair) for pair in zip(before[:layer], after[:layer], strict=True))
        assert not torch.equal(before[layer], after[layer])


def test_noise_is_fixed_unless_a_generator_draws_it():
    synthesis = stylegan().synthesis
    with torch.no_grad():
        synthesis.noise_strengths.fill_(1.0)
    latents = torch.randn(2, synthesis.num_ws, 4)
    assert torch.equal(synthesis(latents), synthesis(latents))
    drawn = synthesis(latents, torch.Generator().manual_seed(0))
    assert not torch.equal(drawn, synthesis(latents))


def test_lazy_regularisers_have_finite_gradients_and_come_when_they_should(images):
    model = stylegan().train()
    for update in model.updates():
        total, _ = update.loss(images, torch.Generator().manual_seed(0))
        parameters = [value for module in update.modules for value in module.parameters()]
        gradients = torch.autograd.grad(total, parameters, allow_unused=True)
        assert all(torch.isfinite(g).all() for g in gradients if g is not None)
        assert any(g.abs().max() > 0 for g in gradients if g is not None)
    history = fit_generator(model, None, images, max_epochs=3, batch_size=8, progress=False)
    assert "r1" in history[0]
    assert int(model.batches) == 9


def test_averaged_weights_draw_in_eval_mode(images):
    model = stylegan()
    fit_generator(model, None, images, max_epochs=1, batch_size=8, progress=False)
    latents = model.eval().draw(2, torch.Generator().manual_seed(0))
    averaged = model.decode(latents)
    model.train()
    assert not torch.allclose(model.decode(latents), averaged)
    assert not model.averaged[0].layers[0].weight.requires_grad


def test_each_layer_is_a_block_with_its_resolution(images):
    model = stylegan().eval()
    assert [block.level for block in model.blocks] == [4, 8, 8, 8]
    with pytest.warns(UserWarning, match="`n_steps` must suffice"):
        explanation = explain(model, predictor(), images[:4], n_steps=16)
    assert explanation.by_block.shape == (4, 4, 4)


def test_images_of_any_size_are_the_middle_of_a_square_that_doubles():
    model = StyleGAN2((1, 7, 6), w_dim=4, channels=4)
    real = model._real(torch.ones(2, 1, 7, 6))
    assert real.shape == (2, 1, 8, 8)
    assert (real == 1).sum() == 2 * 42
    latents = model.draw(2)
    whole = (model.synthesis(latents.view(2, 4, 4)) + 1) / 2
    torch.testing.assert_close(model.decode(latents), whole[..., 0:7, 1:7])
    with pytest.raises(ValueError, match="`image_shape` must have sides of 5 pixels or more"):
        StyleGAN2((1, 4, 4))
    with pytest.raises(ValueError, match="`prediction_weight` must be 0 for a StyleGAN2"):
        fit_generator(stylegan(), predictor(), torch.rand(8, *SHAPE), prediction_weight=1.0)
