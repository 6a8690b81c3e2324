import pytest
import torch
from torch import nn

from tests.trimvae.models.cases import predictor
from trimvae import explain
from trimvae.models import GeneratorAdapter


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
