import pytest
import torch

from tests.trimvae.models.cases import infogan, predictor
from trimvae import ALAE, InfoGAN, explain
from trimvae.report.details import findings


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
    assert "the evidence is in: category" in " ".join(findings(explanation))


def test_sides_that_cannot_be_halved_twice_are_refused():
    for make in (InfoGAN, ALAE):
        with pytest.raises(ValueError, match="`image_shape` must have sides divisible by 4"):
            make((1, 9, 8))
    with pytest.raises(ValueError, match="`n_categories` must be at least 2, or `n_continuous`"):
        infogan(n_categories=0, n_continuous=0)
