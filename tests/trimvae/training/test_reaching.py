import pytest
import torch
from torch.utils.data import TensorDataset

from attributions import Sparsity, path_contributions
from attributions.axes import Flow, Linear, Rotation
from attributions.penalties import Independence
from attributions.trim import Trim
from tests.attributions.axes.made import moved, orthogonal
from tests.trimvae.models.cases import infogan
from tests.trimvae.training.cases import QUIET, small_vae, weights
from trimvae import IVAE, VAE, VAETraining, fit
from trimvae.objectives import BetaTCVAE, BetaVAE, FactorVAE
from trimvae.training.reaching import check_penalised, idle, only_reaching, reached_now

SIZE = 3
PARTS = ("encoder", "decoder", "axes")


def axes_named(kind: str):
    torch.manual_seed(0)
    latents = torch.randn(50, SIZE) * torch.tensor([1.0, 2.0, 3.0]) + 1
    return {
        "rotation": Rotation(SIZE, matrix=orthogonal(SIZE)),
        "linear": Linear.fitted(latents).turned(orthogonal(SIZE)),
        "flow": moved(Flow(SIZE), 0.1),
    }[kind]


def turned_vae(kind: str = "rotation") -> VAE:
    return small_vae(latent_size=SIZE).with_axes(axes_named(kind))


def module_of(code, predictor, **options) -> VAETraining:
    module = VAETraining(
        code,
        predictor,
        **{"prediction_weight": 1.0, "penalties": [Sparsity()], "penalty_every": 1, **options},
    )
    module.log_dict = lambda *args, **kwargs: None
    return module


def penalty_of(module, table, step: int = 0):
    """The weighted penalties of a step, with its graph."""
    type(module).global_step, kept = step, type(module).global_step
    try:
        code = module.code.unturned
        latents = module._sampled(code.encode(table))
        return module._penalty(table, latents, module.through.outputs(table), {})
    finally:
        type(module).global_step = kept


def reached_by(penalty, code) -> set[str]:
    """Parts of a code that a gradient comes to."""
    found = set()
    for name in PARTS:
        parameters = list(getattr(code, name).parameters())
        if not penalty.requires_grad:
            continue
        gradients = torch.autograd.grad(penalty, parameters, retain_graph=True, allow_unused=True)
        if any(gradient is not None and bool(gradient.any()) for gradient in gradients):
            found.add(name)
    return found


@pytest.mark.parametrize("kind", ["rotation", "linear", "flow"])
@pytest.mark.parametrize("penalty", [Sparsity(), Independence()], ids=lambda one: one.name)
@pytest.mark.parametrize(
    ("penalised", "expected"),
    [("both", set(PARTS)), ("axes", {"axes"}), ("code", {"encoder", "decoder"})],
)
def test_the_penalties_gradient_reaches_what_was_asked(
    kind, penalty, penalised, expected, table, predictor
):
    code = turned_vae(kind)
    module = module_of(code, predictor, penalised=penalised, penalties=[penalty])
    assert reached_by(penalty_of(module, table[:8]), code) == expected
    assert all(parameter.requires_grad for parameter in code.parameters())


def test_axes_come_first_and_then_the_code_by_turns(table, predictor):
    code = turned_vae()
    module = module_of(code, predictor, penalised="alternating", penalty_every=3)
    assert reached_by(penalty_of(module, table[:8], step=0), code) == {"axes"}
    assert reached_by(penalty_of(module, table[:8], step=3), code) == {"encoder", "decoder"}
    assert reached_by(penalty_of(module, table[:8], step=6), code) == {"axes"}
    assert [reached_now("alternating", turn) for turn in range(3)] == ["axes", "code", "axes"]
    assert reached_now("both", 1) == "both"


def test_what_is_held_for_the_penalties_is_trained_by_everything_else(table, predictor):
    code = turned_vae()
    before = {name: weights(getattr(code, name)) for name in PARTS}
    module = module_of(code, predictor, penalised="axes")
    total = module.training_step(table[:32], 0)
    assert reached_by(total, code) == set(PARTS)
    held = axes_named("rotation").requires_grad_(False)
    fixed = small_vae(latent_size=SIZE).with_axes(held)
    fit(fixed, predictor, table, penalties=[Sparsity()], max_epochs=1, **QUIET)
    torch.testing.assert_close(weights(fixed.axes), before["axes"])
    assert not torch.equal(weights(fixed.encoder), before["encoder"])


@pytest.mark.parametrize("kind", ["rotation", "linear", "flow"])
def test_penalties_see_contributions_of_the_axes_from_where_the_prior_is_mapped_to(
    kind, table, predictor
):
    code, inputs = turned_vae(kind), table[:8]
    module = module_of(code, predictor)
    seen = []
    module.through.penalty = lambda step, terms: seen.append(step) or torch.zeros(())
    penalty_of(module, inputs)
    (step,) = seen
    latents = module._sampled(code.unturned.encode(inputs))
    torch.testing.assert_close(step.latents, code.axes(latents))
    torch.testing.assert_close(step.baselines, code.axes(torch.zeros(8, SIZE)))
    trim = Trim(predictor, code.decode, explained="centred_logit")
    expected = path_contributions(
        trim, step.latents, step.baselines, target=step.target, alphas=step.alphas
    )
    torch.testing.assert_close(step.contributions, expected)
    torch.testing.assert_close(step.encode(inputs), code.encode(inputs).mean)


@pytest.mark.parametrize(
    ("kind", "objective"),
    [("rotation", BetaTCVAE), ("linear", FactorVAE), ("flow", BetaVAE)],
)
def test_without_penalties_a_turned_vae_is_trained_as_the_unturned_one(
    kind, objective, table, predictor
):
    codes = small_vae(latent_size=SIZE), turned_vae(kind)
    options = {"max_epochs": 2, "batch_size": 32, "validation": table[:32], **QUIET}
    plain, turned = (
        fit(code, predictor, table, objective=objective(), **options) for code in codes
    )
    for before, after in zip(plain, turned, strict=True):
        assert before.keys() == after.keys()
        for name, value in before.items():
            assert after[name] == pytest.approx(value, rel=1e-5, abs=1e-7), name
    torch.testing.assert_close(codes[1](table), codes[0](table), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(weights(codes[1].axes), weights(axes_named(kind)))
    assert torch.equal(weights(codes[1].encoder), weights(codes[0].encoder))


def test_an_ivae_is_trained_as_the_unturned_one(table):
    def ivae() -> IVAE:
        torch.manual_seed(0)
        return IVAE.dense((6,), SIZE, n_contexts=4, hidden=(8,))

    codes = ivae(), ivae().with_axes(axes_named("linear"))
    data = TensorDataset(table, torch.arange(96) % 4)
    plain, turned = (fit(code, None, data, max_epochs=2, **QUIET) for code in codes)
    assert turned == [pytest.approx(epoch, rel=1e-5) for epoch in plain]
    assert torch.equal(weights(codes[1].prior_network), weights(codes[0].prior_network))


def test_a_penalty_on_the_axes_alone_turns_them_and_leaves_the_vae_as_without_it(table, predictor):
    codes = small_vae(latent_size=SIZE), turned_vae("rotation")
    options = {"max_epochs": 5, "batch_size": 32, **QUIET}
    fit(codes[0], predictor, table, **options)
    fit(codes[1], predictor, table, penalties=[Sparsity(weight=2.0)], penalised="axes", **options)
    assert torch.equal(weights(codes[1].encoder), weights(codes[0].encoder))
    assert torch.equal(weights(codes[1].decoder), weights(codes[0].decoder))
    assert (codes[1].axes.matrix - orthogonal(SIZE)).abs().max() > 1e-4
    square = codes[1].axes.matrix @ codes[1].axes.matrix.T
    torch.testing.assert_close(square, torch.eye(SIZE).double())


@pytest.mark.parametrize("kind", ["rotation", "linear", "flow"])
def test_an_interrupted_training_of_axes_ends_as_an_uninterrupted_one(
    kind, table, predictor, tmp_path
):
    def trained(folder, *epochs):
        code = turned_vae(kind)
        for number, some in enumerate(epochs):
            options = {"schedule": "constant", "checkpoint_dir": folder, "resume": number > 0}
            history = fit(
                code, predictor, table, penalties=[Sparsity()], penalised="alternating",
                max_epochs=some, **options, **QUIET,
            )  # fmt: skip
            if some != epochs[-1]:
                code = turned_vae(kind)
        return code, history

    whole, history = trained(tmp_path / "whole", 3)
    resumed, again = trained(tmp_path / "parts", 1, 3)
    assert torch.equal(weights(resumed), weights(whole))
    assert again == history
    assert (weights(whole.axes) - weights(axes_named(kind))).abs().max() > 1e-3


def test_a_run_is_not_resumed_with_other_axes_or_another_reach(table, predictor, tmp_path):
    options = {"penalties": [Sparsity()], "max_epochs": 1, "checkpoint_dir": tmp_path, **QUIET}
    fit(turned_vae(), predictor, table, **options)
    with pytest.raises(ValueError, match=r"penalised=axes \(both in the run\)"):
        fit(turned_vae(), predictor, table, penalised="axes", resume=True, **options)
    grouped = small_vae(latent_size=SIZE).with_axes(Rotation(SIZE, [(0, 1)]))
    with pytest.raises(ValueError, match="must hold weights of the same architecture"):
        fit(grouped, predictor, table, resume=True, **options)


def test_what_cannot_be_reached_is_said(table, predictor):
    for penalised in ("axes", "alternating"):
        with pytest.raises(
            ValueError, match="`code` must have axes to be trained .* a code without"
        ):
            fit(small_vae(), predictor, table, penalised=penalised, **QUIET)
        with pytest.raises(ValueError, match="Got a code without axes"):
            check_penalised(penalised, infogan())
    held = turned_vae()
    held.axes.requires_grad_(False)
    with pytest.raises(ValueError, match="Got axes that are held"):
        check_penalised("axes", held)
    with pytest.raises(
        ValueError, match=r"`penalised` must be one of \('both', 'axes', 'code', 'al"
    ):
        fit(small_vae(), predictor, table, penalised="encoder", **QUIET)
    check_penalised("code", small_vae())


def test_flags_come_back_also_after_an_error_and_held_ones_stay_held():
    code = turned_vae()
    code.decoder.requires_grad_(False)
    flags = [parameter.requires_grad for parameter in code.parameters()]
    with only_reaching(code, "axes"):
        reached = {name for name, one in code.named_parameters() if one.requires_grad}
    assert reached == {"axes.angles"}

    def fail() -> None:
        with only_reaching(code, "code"):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [parameter.requires_grad for parameter in code.parameters()] == flags


def test_every_parameter_of_the_axes_has_a_gradient_in_every_step(table, predictor):
    code = turned_vae("flow")
    module = module_of(code, predictor, penalties=[])
    module.training_step(table[:32], 0).backward()
    assert not any(bool(parameter.grad.any()) for parameter in code.axes.parameters())
    assert idle(None) == 0.0
    assert idle(Rotation(2).requires_grad_(False)) == 0.0
