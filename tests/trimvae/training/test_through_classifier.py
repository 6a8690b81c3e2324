import copy

import pytest
import torch
from torch import nn

from attributions import Contrast, Sparsity, Trim, path_contributions
from attributions.measures.fidelity import agreement, prediction_kl
from attributions.predictors import Predictor
from tests.trimvae.models.cases import infogan
from tests.trimvae.training.cases import small_vae
from trimvae import VAE, explain, fit
from trimvae.training.through_classifier import ThroughClassifier, statistics_fixed


def through(code, predictor, **options) -> ThroughClassifier:
    carried = predictor if isinstance(predictor, Predictor) else Predictor(predictor)
    return ThroughClassifier(code, carried, **{"prediction_weight": 1.0, **options})


def step_of(one: ThroughClassifier, inputs, latents, outputs, **options):
    noise = torch.full((len(latents), one.n_steps), 0.5)
    generator = torch.Generator().manual_seed(0)
    return one.step(
        inputs, latents, outputs, noise=noise, generator=generator, encode=lambda x: x, **options
    )


def test_the_prediction_loss_is_a_kl_for_classes_or_each_label_and_a_square_for_quantities(
    table, predictor
):
    vae, decoded = small_vae(), torch.randn(96, 6)
    outputs, reencoded = predictor(table), predictor(decoded)
    found = through(vae, predictor).prediction(outputs, decoded)
    torch.testing.assert_close(found, prediction_kl(outputs, reencoded))
    each = [
        prediction_kl(outputs[:, [label]], reencoded[:, [label]])
        for label in range(outputs.shape[1])
    ]
    labels = through(vae, Predictor(predictor, task="multilabel"))
    torch.testing.assert_close(labels.prediction(outputs, decoded), torch.stack(each).sum())
    regression = through(vae, Predictor(predictor, task="regression"))
    expected = (reencoded - outputs).pow(2).mean()
    torch.testing.assert_close(regression.prediction(outputs, decoded), expected)


def test_held_out_inputs_are_measured_by_loss_and_agreement(table, predictor):
    decoded = torch.randn(96, 6)
    kept = through(small_vae(), predictor).kept(table, decoded)
    outputs, reencoded = predictor(table), predictor(decoded)
    torch.testing.assert_close(kept["prediction"], prediction_kl(outputs, reencoded).detach())
    torch.testing.assert_close(kept["agreement"], agreement(outputs, reencoded).detach())
    assert ThroughClassifier(small_vae(), None, prediction_weight=0.0).kept(table, decoded) == {}


def test_penalties_see_a_contrast_when_asked(table, predictor):
    vae = small_vae()
    one = through(vae, Predictor(predictor, explained=Contrast(2, 0)), n_steps=4)
    latents = torch.randn(8, 3)
    step = step_of(one, table[:8], latents, predictor(table[:8]))
    trim = Trim(lambda x: predictor(x)[:, 2] - predictor(x)[:, 0], vae.decode)
    alphas = (torch.arange(4) + 0.5).div(4).expand(8, 4)
    expected = path_contributions(trim, latents, target=0, alphas=alphas)
    torch.testing.assert_close(step.contributions, expected)


def test_penalties_see_the_residual_held_fixed_when_asked(table, predictor):
    vae = small_vae()
    inputs, latents = table[:8], vae.encode(table[:8]).mean
    step = step_of(through(vae, predictor, residual=True), inputs, latents, predictor(inputs))
    trim = Trim(predictor, vae.decode)
    residual = trim.residual(inputs, latents)
    expected = path_contributions(
        trim, latents, target=step.target, additional_forward_args=residual, alphas=step.alphas
    )
    torch.testing.assert_close(step.contributions, expected)
    assert not step.residual.requires_grad
    assert torch.equal(step.target, predictor(inputs).argmax(dim=1))
    without = step_of(through(vae, predictor), inputs, latents, predictor(inputs))
    assert without.residual is None


def test_penalties_join_every_so_many_steps_with_as_many_times_the_weight(table, predictor):
    one = through(small_vae(), predictor, penalties=[Sparsity(weight=2.0)], every=3)
    assert [step for step in range(7) if one.penalises(step)] == [0, 3, 6]
    step, terms = step_of(one, table[:8], torch.randn(8, 3), predictor(table[:8])), {}
    torch.testing.assert_close(one.penalty(step, terms), 3 * 2 * Sparsity()(step))
    torch.testing.assert_close(terms["sparsity"], Sparsity()(step))
    assert not through(small_vae(), predictor).penalises(0)


def test_penalties_see_a_quarter_of_the_batch_but_eight_examples_at_least(predictor):
    one = through(small_vae(), predictor)
    assert [one.examples(size) for size in (8, 32, 64)] == [8, 8, 16]
    assert [one.examples(32, processes) for processes in (1, 2, 4)] == [8, 8, 8]
    asked = through(small_vae(), predictor, examples=10)
    assert [asked.examples(64, processes) for processes in (1, 2, 3)] == [10, 5, 4]


def normalising_vae() -> VAE:
    torch.manual_seed(0)
    decoder = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.SiLU(), nn.Linear(8, 6))
    vae = VAE(nn.Linear(6, 6), decoder, 3, likelihood="gaussian")
    for _ in range(3):
        vae.decode(torch.randn(16, 3))
    return vae.train()


def test_batch_normalisation_holds_its_statistics_under_penalties(table, predictor):
    vae = normalising_vae()
    one = through(vae, predictor, penalties=[Sparsity()])
    before = {name: value.clone() for name, value in vae.state_dict().items()}
    latents, outputs, values = torch.randn(8, 3), predictor(table[:8]), []
    for mode in (True, False):
        vae.train(mode)
        values.append(one.penalty(step_of(one, table[:8], latents, outputs), {}))
    torch.testing.assert_close(*values, rtol=1e-6, atol=0)
    assert all(torch.equal(value, before[name]) for name, value in vae.state_dict().items())
    vae.train()
    # With the statistics of the batch it would be another value.
    by_batch = Sparsity()(step_of(one, table[:8], latents, outputs))
    assert abs(by_batch - values[0]) > 0.01 * abs(values[0])


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


def test_the_predictor_follows_the_code_into_another_precision_and_is_left_alone(table, predictor):
    vae, carried = small_vae(), Predictor(predictor)
    one = ThroughClassifier(vae, carried, prediction_weight=1.0)
    assert one.trim.predictor.function[0].weight.dtype == torch.float32
    vae.double()
    assert one.outputs(table.double()).dtype == torch.float64
    for untouched in (predictor, carried):
        assert {parameter.dtype for parameter in untouched.parameters()} == {torch.float32}


def test_the_predictor_is_the_callers_own_storage_but_not_its_parameters(predictor):
    one = through(small_vae(), predictor)
    replica = one.trim.predictor.function
    assert replica[0].weight.data_ptr() == predictor[0].weight.data_ptr()
    assert replica[0].weight is not predictor[0].weight
    assert not replica[0].weight.requires_grad


def test_another_predictor_has_another_fingerprint(table, predictor):
    one, same = through(small_vae(), predictor), through(small_vae(), copy.deepcopy(predictor))
    assert one.fingerprint(table[:1]) == same.fingerprint(table[:1])
    other = through(small_vae(), nn.Linear(6, 3))
    assert other.fingerprint(table[:1]) != one.fingerprint(table[:1])


def test_weights_show_in_a_fingerprint_also_where_grey_is_nothing_to_a_predictor(table):
    def centred(weight):
        return lambda inputs: (inputs - 0.5) @ weight

    one, other = (through(small_vae(), centred(torch.full((6, 3), scale))) for scale in (1.0, 2.0))
    assert one.fingerprint(table[:1]) != other.fingerprint(table[:1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prediction_weight": -1.0}, "`prediction_weight` must be at least 0"),
        ({"prediction_weight": float("nan")}, "`prediction_weight` must be at least 0"),
        ({"n_steps": 0}, "`penalty_n_steps` must be at least 1"),
        ({"every": 0}, "`penalty_every` must be at least 1"),
        ({"examples": 0}, "`penalty_examples` must be at least 1"),
    ],
)
def test_numbers_out_of_range_are_named(options, message, predictor):
    with pytest.raises(ValueError, match=message):
        through(small_vae(), predictor, **options)


def test_a_missing_predictor_is_named():
    for options in ({"prediction_weight": 1.0}, {"penalties": [Sparsity()]}):
        with pytest.raises(ValueError, match="`predictor` must be given for a prediction loss"):
            ThroughClassifier(small_vae(), None, **{"prediction_weight": 0.0, **options})
    with pytest.raises(RuntimeError, match="`predictor` must be given to look through it"):
        _ = ThroughClassifier(small_vae(), None, prediction_weight=0.0).trim
    with pytest.raises(TypeError, match="`penalties` must be penalties"):
        ThroughClassifier(
            small_vae(), Predictor(nn.Linear(6, 3)), prediction_weight=1.0, penalties=["sparsity"]
        )


def small_vision_transformer():
    from torchvision.models import VisionTransformer

    return VisionTransformer(
        image_size=32, patch_size=16, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32,
        num_classes=3,
    )  # fmt: skip


def small_of_timm(name, **options):
    timm = pytest.importorskip("timm")
    return timm.create_model(name, pretrained=False, num_classes=3, **options)


def small_of_hugging_face(implementation):
    transformers = pytest.importorskip("transformers")
    made = transformers.ViTConfig(
        image_size=32, patch_size=16, num_hidden_layers=2, num_attention_heads=2, hidden_size=16,
        intermediate_size=32, num_labels=3,
    )  # fmt: skip
    made._attn_implementation = implementation
    return transformers.ViTForImageClassification(made)


OTHERS = {
    "torchvision's vision transformer": small_vision_transformer,
    "timm's vision transformer": lambda: small_of_timm(
        "vit_tiny_patch16_224", img_size=32, patch_size=16, depth=2, embed_dim=24, num_heads=2
    ),
    "timm's ConvNeXt": lambda: small_of_timm("convnext_atto", depths=(1, 1, 1, 1), dims=(8,) * 4),
    "Hugging Face, sdpa": lambda: small_of_hugging_face("sdpa"),
    "Hugging Face, eager": lambda: small_of_hugging_face("eager"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_penalty_trains_through_networks_of_other_libraries(name):
    torch.manual_seed(0)
    network = OTHERS[name]().eval()
    last = [part for part in network.modules() if isinstance(part, nn.Linear)][-1]
    nn.init.normal_(last.weight)  # some begin with zeros, and answer nothing
    images = torch.rand(16, 3, 32, 32)
    vae = VAE.residual((3, 32, 32), 3, channels=8)
    before = [weights.clone() for weights in vae.decoder.parameters()]
    history = fit(
        vae, network, images, penalties=[Sparsity()], max_epochs=1, batch_size=8,
        penalty_examples=8, penalty_every=1, progress=False,
    )  # fmt: skip
    assert history[-1]["sparsity"] > 0
    assert all(weights.isfinite().all() for weights in vae.decoder.parameters())
    assert any(
        not torch.equal(*pair) for pair in zip(before, vae.decoder.parameters(), strict=True)
    )
    # A layer norm of an image that is all but even is steep: in double precision.
    found = explain(vae.double(), network.double(), images[:2].double(), n_steps=128)
    change = found.explained_at - found.explained_at_baseline
    torch.testing.assert_close(found.attributions.sum(dim=2), change, rtol=1e-3, atol=1e-3)
