import numpy as np
import ptwt
import pywt
import torch
from torch import nn

from attributions import Trim, path_contributions
from attributions.transforms import LearnableWavelet, Wavelet, wavelet_constraint


def test_wavelet_coefficients_are_those_of_pywavelets_and_ptwt():
    inputs = torch.randn(3, 64, dtype=torch.float64)
    transform = Wavelet((64,), "db2", level=3, mode="symmetric")
    latents = transform.encode(inputs)
    theirs = pywt.wavedec(inputs.numpy(), "db2", mode="symmetric", level=3)
    np.testing.assert_allclose(latents, np.concatenate(theirs, axis=1), atol=1e-10)
    parts = ptwt.wavedec(inputs, "db2", mode="symmetric", level=3)
    torch.testing.assert_close(latents, torch.cat(parts, dim=1))
    assert transform.group_names == ("a3", "d3", "d2", "d1")
    assert Wavelet((1, 28, 28), "db2", dims=2, level=1).group_names == ("a1", "h1", "v1", "d1")


def test_daubechies_filters_fulfil_the_constraints_and_others_do_not():
    for name in ("haar", "db2", "db5", "sym4"):
        assert (
            wavelet_constraint(torch.tensor(pywt.Wavelet(name).dec_lo, dtype=torch.float64)) < 1e-16
        )
    assert wavelet_constraint(torch.tensor([0.5, 0.5, 0.5, 0.5])) > 0.1
    noisy = torch.tensor(pywt.Wavelet("db5").dec_lo) + 0.05
    assert wavelet_constraint(noisy) > 0.01


def test_a_learnable_wavelet_is_the_named_one_at_its_filter():
    inputs = torch.randn(3, 64, dtype=torch.float64)
    lowpass = torch.tensor(pywt.Wavelet("db3").dec_lo, dtype=torch.float64)
    learned, named = LearnableWavelet((64,), lowpass, level=3), Wavelet((64,), "db3", level=3)
    torch.testing.assert_close(learned.encode(inputs), named.encode(inputs))
    torch.testing.assert_close(learned.decode(learned.encode(inputs)), inputs)


def test_trim_penalties_reach_the_filter_with_the_exact_gradient():
    predictor = nn.Sequential(nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    inputs = torch.randn(2, 16, dtype=torch.float64)
    alphas = torch.tensor([[0.2, 0.7]], dtype=torch.float64)
    code = LearnableWavelet((16,), torch.randn(4, dtype=torch.float64), level=2)
    with torch.no_grad():
        residual = inputs - 0.9 * code.decode(code.encode(inputs))

    def penalty(lowpass):
        del code.lowpass
        code.lowpass = lowpass  # a tensor of the graph in the parameter's place
        trim = Trim(predictor, code.decode)
        contributions = path_contributions(
            trim, code.encode(inputs), target=0, additional_forward_args=residual, alphas=alphas
        )
        return contributions.mean(dim=1).abs().sum() + code.constraint()

    assert torch.autograd.gradcheck(penalty, code.lowpass.detach().clone().requires_grad_())
