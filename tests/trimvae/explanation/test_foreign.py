"""Autoencoders of others, as they are, through `explain` and `evaluate`."""

import pytest
import torch
from torch import nn

from attributions.flattening import Flattened
from tests.attributions.foreign import Diffusers
from trimvae import evaluate, explain


def double_predictor(classes=3):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, 2), nn.SiLU(), nn.Flatten(), nn.Linear(36, classes)
        ).double()


def images(count=5):
    return torch.rand(
        count, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2)
    )


@pytest.mark.filterwarnings("ignore:`n_steps`")
def test_an_autoencoder_of_others_is_explained_evaluated_drawn_and_read_again(tmp_path):
    autoencoder, predictor, inputs = Diffusers(), double_predictor(), images(24)
    explanation = explain(autoencoder, predictor, inputs[:4])
    assert explanation.attributions.shape == (4, 3, 16)
    assert explanation.by_block.shape == (4, 3, 4)
    torch.testing.assert_close(
        explanation.by_block, explanation.attributions.unflatten(2, (4, 4)).sum(dim=3)
    )
    assert explanation.latent_names[0] == "channel 0 (0, 0)"
    explanation.to_html(tmp_path / "report.html")
    assert "channel 3" in (tmp_path / "report.html").read_text(encoding="utf-8")
    explanation.save(tmp_path / "explanation.safetensors")
    again = type(explanation).load(
        tmp_path / "explanation.safetensors", code=autoencoder, predictor=predictor
    )
    torch.testing.assert_close(again.trim(again.latents), explanation.trim(explanation.latents))
    evaluation = evaluate(autoencoder, predictor, inputs, n_alpha=3, n_beta=3)
    assert 0 <= evaluation.metrics["agreement"] <= 1


def test_autoencoders_of_a_pair_of_modules_are_explained():
    class Pythae(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
            self.decoder = nn.Sequential(nn.Linear(2, 192), nn.Unflatten(1, (3, 8, 8)))

    explanation = explain(Pythae().double(), double_predictor(), images())
    assert explanation.attributions.shape == (5, 3, 2)
    assert explanation.latent_names == ("z0", "z1")


def test_the_real_autoencoder_of_diffusers_is_explained():
    diffusers = pytest.importorskip("diffusers")
    autoencoder = diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(4, 8),
        norm_num_groups=2,
    ).double()
    code, inputs = Flattened(autoencoder, value_range=(-1, 1)), images()
    explanation = explain(code, double_predictor(), inputs)
    assert explanation.attributions.shape == (5, 3, 64)
    torch.testing.assert_close(
        explanation.reconstructions,
        (autoencoder(2 * inputs - 1).sample.detach() + 1) / 2,
    )
