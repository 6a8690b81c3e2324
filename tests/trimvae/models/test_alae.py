import torch
from torch import nn
from torch.nn.functional import softplus

from trimvae import ALAE


def small(**options) -> ALAE:
    torch.manual_seed(0)
    return ALAE((1, 8, 8), latent_size=3, channels=4, **options).eval()


def generator(seed: int = 7) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def losses(model: ALAE, images, seed: int = 7):
    """Every update's loss and its terms, by name."""
    return {update.name: update.loss(images, generator(seed)) for update in model.updates()}


def test_the_losses_are_those_of_the_paper():
    model, images = small(gamma=0.5, latent_weight=0.25), torch.rand(6, 1, 8, 8)
    found = losses(model, images)
    latents = model.draw(6, generator())
    scores = model.discriminator(model.encode(model.decode(latents)))[:, 0]
    real = images.clone().requires_grad_()
    judged = model.discriminator(model.encode(real))[:, 0]
    (slope,) = torch.autograd.grad(judged.sum(), real)
    penalty = slope.pow(2).sum() / 6 / 2
    game = softplus(scores).mean() + softplus(-judged).mean()
    torch.testing.assert_close(found["discriminator"][0], game + 0.5 * penalty)
    torch.testing.assert_close(found["generator"][0], softplus(-scores).mean())
    missed = (model.encode(model.decode(latents)) - latents).pow(2).sum(dim=1).mean()
    torch.testing.assert_close(found["latent"][0], 0.25 * missed / latents.var(dim=0).mean())


def test_encoder_and_generator_that_belong_together_have_no_latent_loss():
    model = small()
    model.generator = nn.Sequential(nn.Linear(3, 64, bias=False), nn.Unflatten(1, (1, 8, 8)))
    weight = model.generator[0].weight.detach()
    inverse = nn.Linear(64, 3, bias=False)
    inverse.weight.data = torch.linalg.pinv(weight)
    model.encoder = nn.Sequential(nn.Flatten(), inverse)
    assert losses(model, torch.rand(6, 1, 8, 8))["latent"][0] < 1e-8


def test_the_latent_loss_holds_its_target_fixed_and_only_its_step_explains():
    model = small()
    loss, _ = losses(model, torch.rand(6, 1, 8, 8))["latent"]
    loss.backward()
    assert all(parameter.grad is None for parameter in model.mapping.parameters())
    assert any(bool(parameter.grad.any()) for parameter in model.encoder.parameters())
    assert [update.name for update in model.updates() if update.explains] == ["latent"]


def test_attributions_start_at_the_mean_of_w():
    model = small()
    draws = model.draw(20_000, generator(1))
    error = draws.std(dim=0) * (1 / 2048 + 1 / 20_000) ** 0.5
    start = model.baseline(2)
    assert torch.equal(start[0], start[1])
    assert torch.equal(start, model.baseline(2))
    # 5 standard errors of both means
    assert bool(((start[0] - draws.mean(dim=0)).abs() < 5 * error).all())
