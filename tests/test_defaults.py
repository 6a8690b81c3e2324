"""What the caller has set in torch, half precision, and training in another thread."""

import threading

import pytest
import torch
from torch import nn

from attributions import Predictor, Sparsity, explanatory_axes
from trimvae import VAE, evaluate, explain, fit
from trimvae.explanation.counterfactuals import find_counterfactuals
from trimvae.explanation.explanation import Explanation


class Case:
    """A small code for pictures, a classifier, and pictures, all made on the CPU in float32."""

    def __init__(self) -> None:
        self.vae = VAE.convolutional((1, 28, 28), latent_size=3)
        hidden = nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.Tanh())
        self.predictor = nn.Sequential(hidden, nn.Linear(8, 3))
        self.inputs = torch.rand(24, 1, 28, 28)

    def to(self, dtype: torch.dtype) -> "Case":
        self.vae, self.predictor = self.vae.to(dtype), self.predictor.to(dtype)
        self.inputs = self.inputs.to(dtype)
        return self

    def explained(self, **options) -> Explanation:
        return explain(self.vae, self.predictor, self.inputs, **options)


def everything(explanation: Explanation, folder) -> dict:
    """Ask, draw and write all that an explanation can be asked for."""
    for name in ("plot", "plot_waterfall", "plot_traversals", "plot_pixels", "plot_trust"):
        getattr(explanation, name)()
    explanation.plot_within(0)
    explanation.plot_counterfactual()
    explanation.animate(folder / "traversal.gif", frames=3)
    explanation.to_html(folder / "report.html", max_examples=2)
    explanation.save(folder / "explanation.safetensors")
    assert len(explanation.to_frame()) == explanation.latents.numel()
    assert Explanation.load(folder / "explanation.safetensors").summary() == explanation.summary()
    return explanation.metrics


@pytest.fixture
def defaults():
    """Set back what a test has set."""
    yield
    torch.set_default_device(None)
    torch.set_default_dtype(torch.float32)


def test_the_callers_default_device_is_never_taken_for_that_of_the_data(defaults, tmp_path):
    case = Case()
    expected = case.explained()
    axes = explanatory_axes(case.vae, case.predictor, case.inputs).encode(case.inputs).mean
    torch.set_default_device("meta")  # whatever is made there fails when it is used
    found = case.explained()
    assert torch.equal(found.attributions, expected.attributions)
    assert everything(found, tmp_path)["agreement"] == expected.metrics["agreement"]
    turned = explanatory_axes(case.vae, case.predictor, case.inputs)
    torch.testing.assert_close(turned.encode(case.inputs).mean, axes)
    moved = find_counterfactuals(case.vae, case.predictor, found.latents[:4])
    assert moved.latents.device.type == "cpu"
    evaluation = evaluate(turned, case.predictor, case.inputs, n_alpha=3, n_beta=3)
    assert 0 <= evaluation.metrics["agreement"] <= 1
    fit(case.vae, case.predictor, case.inputs, penalties=[Sparsity(weight=1.0)], max_epochs=1,
        batch_size=12, progress=False)  # fmt: skip
    assert {each.device.type for each in case.vae.parameters()} == {"cpu"}
    assert torch.get_default_device().type == "meta"


def test_the_callers_default_precision_is_never_taken_for_that_of_the_data(defaults, tmp_path):
    case = Case()
    expected = case.explained()
    torch.set_default_dtype(torch.float64)
    found = case.explained()
    for name, tensor in expected.tensors().items():
        assert found.tensors()[name].dtype == tensor.dtype, name
        torch.testing.assert_close(found.tensors()[name], tensor)
    everything(found, tmp_path)
    moved = find_counterfactuals(case.vae, case.predictor, found.latents[:4])
    assert moved.latents.dtype == moved.inputs.dtype == torch.float32
    evaluation = evaluate(case.vae, case.predictor, case.inputs, n_alpha=3, n_beta=3)
    assert evaluation.metrics["agreement"] == pytest.approx(expected.metrics["agreement"])
    fit(case.vae, case.predictor, case.inputs, penalties=[Sparsity(weight=1.0)], max_epochs=1,
        batch_size=12, progress=False)  # fmt: skip
    assert {each.dtype for each in case.vae.parameters()} == {torch.float32}


@pytest.mark.parametrize(("dtype", "digits"), [(torch.float16, 2e-3), (torch.bfloat16, 2e-2)])
def test_half_precision_is_explained_drawn_and_written_as_single_precision_is(
    dtype, digits, tmp_path
):
    case = Case().to(dtype)
    found = case.explained()
    single = case.to(torch.float32).explained()  # the same weights and inputs, which are rounded
    scale = single.attributions.abs().amax()
    assert found.attributions.dtype == dtype
    assert (found.attributions - single.attributions).abs().amax() < 10 * digits * scale
    change = (found.explained_at - found.explained_at_baseline).double()
    missed = (found.attributions.double().sum(dim=2) - change).abs().amax()
    assert missed < 10 * digits * found.outputs.abs().amax()
    metrics = everything(found, tmp_path)
    assert metrics.keys() == single.metrics.keys()
    case.to(dtype)
    for method in ("sparse", "gradient"):
        moved = find_counterfactuals(case.vae, case.predictor, found.latents, method=method)
        assert moved.latents.dtype == dtype
        same = find_counterfactuals(
            *(module.float() for module in (case.vae, case.predictor)),
            found.latents.float(),
            method=method,
        )
        assert (moved.figures.valid == same.figures.valid).double().mean() > 0.8
        case.to(dtype)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_baselines_that_are_not_finite_are_refused(value):
    case = Case()
    with pytest.raises(ValueError, match="`baselines` must be finite. Got NaN or infinity"):
        case.explained(baselines=torch.full((1, 3), value))


class Weights:
    """A thread that changes every weight of some modules until it is stopped."""

    def __init__(self, *modules: nn.Module) -> None:
        self._modules, self._stopped, self.changes = modules, threading.Event(), 0
        self._thread = threading.Thread(target=self._train)

    def _train(self) -> None:
        while not self._stopped.is_set():
            with torch.no_grad():
                for module in self._modules:
                    for parameter in module.parameters():
                        parameter.mul_(-1.01 if self.changes % 2 else -1 / 1.01)
            self.changes += 1

    def __enter__(self) -> "Weights":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()


@pytest.mark.parametrize("made", [lambda module: module, Predictor], ids=["module", "Predictor"])
def test_what_another_thread_trains_meanwhile_is_explained_as_it_was_at_one_moment(made):
    vae = VAE.dense((6,), latent_size=3).double()
    network = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    inputs = torch.randn(64, 6, dtype=torch.float64)
    predictor = made(network)
    with Weights(vae, network) as training:
        found = explain(vae, predictor, inputs, tolerance=1e-7)
        begun = training.changes
        asked = [found.trim(found.latents) for _ in range(20)]
        while training.changes < begun + 10:
            pass
        again = found.trim(found.latents)
    assert training.changes > 10
    change = found.explained_at - found.explained_at_baseline
    torch.testing.assert_close(found.attributions.sum(dim=2), change, rtol=1e-5, atol=1e-5)
    for outputs in (*asked, again):  # the weights of one moment, also when it is asked later
        assert torch.equal(outputs, again)
    torch.testing.assert_close(again, found.explained_at, rtol=1e-5, atol=1e-5)
    # The same code and predictor, at rest, give the same explanation.
    code, frozen = found._context
    repeated = explain(code, frozen, inputs, tolerance=1e-7)
    assert torch.equal(repeated.attributions, found.attributions)
