import pytest
import torch

from tests.trimvae.models.cases import SHAPE, predictor, stylegan
from trimvae import StyleGAN2, explain, fit


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


def test_lazy_regularisers_have_finite_gradients_and_come_when_they_should(images):
    model = stylegan().train()
    for update in model.updates():
        total, _ = update.loss(images, torch.Generator().manual_seed(0))
        parameters = [value for module in update.modules for value in module.parameters()]
        gradients = torch.autograd.grad(total, parameters, allow_unused=True)
        assert all(torch.isfinite(g).all() for g in gradients if g is not None)
        assert any(g.abs().max() > 0 for g in gradients if g is not None)
    history = fit(model, None, images, max_epochs=3, batch_size=8, progress=False)
    assert "r1" in history[0]
    assert int(model.batches) == 9


def test_averaged_weights_draw_in_eval_mode(images):
    model = stylegan()
    fit(model, None, images, max_epochs=1, batch_size=8, progress=False)
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
        fit(stylegan(), predictor(), torch.rand(8, *SHAPE), prediction_weight=1.0)


def test_in_style_space_it_draws_the_same_images_and_is_searched_for_images(images):
    flat, model = stylegan(space="w").eval(), stylegan(space="style").eval()
    model.load_state_dict(flat.state_dict())
    assert model.latent_size == len(model.latent_names) == 20
    latents, seed = model.draw(3, torch.Generator().manual_seed(0)), torch.Generator()
    drawn = flat.decode(flat.draw(3, seed.manual_seed(0)))
    torch.testing.assert_close(model.decode(latents), drawn, atol=1e-6, rtol=1e-5)
    start = (model.decode(model.baseline(1)) - images[:2]).pow(2).sum()
    with pytest.warns(UserWarning, match="`n_steps` must suffice"):
        found = (model.decode(model.encode(images[:2])) - images[:2]).pow(2).sum()
    assert found < start


def test_after_a_short_training_little_of_the_random_start_is_left_in_the_averages():
    model = stylegan()
    with torch.no_grad():
        model.mapping.layers[0].bias.fill_(1.0)
        for batch in range(1, 101):
            model.batches.fill_(batch)
            model.after_batch()
    assert model.averaged[0].layers[0].bias.min() > 0.999
