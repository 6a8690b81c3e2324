import pytest
import torch

from attributions.measures.counterfactuals import counterfactual_figures


def test_counterfactual_figures_have_closed_forms():
    latents, changed = torch.zeros(2, 3), torch.tensor([[3.0, 4.0, 0.1], [0.0, 0.0, 0.0]])
    decoded = [torch.zeros(2, 1, 2, 2), torch.ones(2, 1, 2, 2)]
    outputs = [torch.tensor([[1.0, 0.0]] * 2), torch.tensor([[0.0, 1.0], [1.0, 0.0]])]
    figures = counterfactual_figures(latents, changed, decoded, outputs)
    assert figures.valid.tolist() == [True, False]
    assert figures.latent_distance[0].item() == pytest.approx(25.01**0.5)
    assert figures.input_distance.tolist() == [4.0, 4.0]
    assert figures.changed_latents.tolist() == [2, 0]
    normal = torch.distributions.Normal(0.0, 1.0)
    torch.testing.assert_close(figures.log_prior, normal.log_prob(changed).sum(dim=1))
    wanted = counterfactual_figures(latents, changed, decoded, outputs, target=torch.tensor([0, 0]))
    assert wanted.valid.tolist() == [False, True]


def test_a_latent_counts_as_changed_beyond_the_threshold_in_either_direction():
    latents = torch.zeros(1, 4)
    changed = torch.tensor([[0.5, -0.6, 0.2, 1.0]])
    decoded, outputs = [torch.zeros(1, 2)] * 2, [torch.tensor([[1.0]]), torch.tensor([[-1.0]])]
    figures = counterfactual_figures(latents, changed, decoded, outputs)
    assert figures.changed_latents.item() == 2  # half a deviation itself is not beyond
    assert figures.valid.item()
    strict = counterfactual_figures(latents, changed, decoded, outputs, threshold=0.1)
    assert strict.changed_latents.item() == 4
