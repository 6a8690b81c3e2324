import math

import pytest
import torch
from torch import nn

from attributions import Sparsity
from tests.trimvae.objectives.cases import small_vae
from trimvae import fit
from trimvae.objectives import (
    DIPVAE,
    BetaTCVAE,
    BetaVAE,
    CapacityVAE,
    FactorVAE,
    Ramp,
    objective_named,
)

QUIET = {"progress": False, "batch_size": 16, "max_epochs": 2}


ALL = {
    "vae": BetaVAE(),
    "warm-up": BetaVAE(Ramp(4.0, steps=5)),
    "capacity": CapacityVAE(Ramp(3.0, steps=5)),
    "factor": FactorVAE(6.4, width=8, depth=2),
    "btcvae mss": BetaTCVAE(6.4),
    "btcvae mws": BetaTCVAE(6.4, estimator="mws"),
    "dip I": DIPVAE(moments="I"),
    "dip II": DIPVAE(moments="II"),
}


@pytest.mark.parametrize("name", list(ALL))
def test_every_objective_trains_with_prediction_loss_and_penalty_and_logs_the_parts(name):
    torch.manual_seed(0)
    predictor = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    vae = small_vae()
    before = [parameter.clone() for parameter in vae.parameters()]
    history = fit(
        vae, predictor, torch.randn(64, 6), objective=ALL[name], penalties=[Sparsity()], **QUIET
    )
    terms = history[-1]
    assert {"reconstruction", "kl", "prediction", "sparsity"} <= set(terms)
    parts = [
        terms[part] for part in ("mutual_information", "total_correlation", "dimension_wise_kl")
    ]
    assert all(math.isfinite(value) for value in terms.values())
    # One sample of 64 posteriors against the mean of KLs over two slightly changing steps.
    assert sum(parts) == pytest.approx(terms["kl"], rel=0.5, abs=0.3)
    after = list(vae.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_batch_of_one_is_an_error_that_names_the_remedy():
    for objective in (BetaTCVAE(), FactorVAE(width=4, depth=1)):
        with pytest.raises(ValueError, match="drop an incomplete last batch"):
            fit(
                small_vae(),
                None,
                torch.randn(1, 6),
                objective=objective,
                progress=False,
                max_epochs=1,
            )


def test_objectives_are_found_by_their_short_names():
    assert objective_named("vae") == BetaVAE(1.0)
    assert objective_named("betavae") == BetaVAE(4.0)
    assert objective_named("btcvae", 5.0, warm_up=10) == BetaTCVAE(Ramp(5.0, 10, start=1.0))
    assert objective_named("capacity", 20.0, warm_up=10) == CapacityVAE(Ramp(20.0, 10))
    assert objective_named("dipvae1", 2.0) == DIPVAE(2.0, 20.0, "I")
    assert objective_named("factorvae").gamma == 6.4


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: objective_named("gan"), "`objective` must be one of"),
        (lambda: objective_named("vae", 2.0), "`weight` must be left out"),
        (lambda: objective_named("dipvae1", warm_up=3), "`warm_up` must be left out"),
    ],
)
def test_bad_names_and_weights_are_refused(act, words):
    with pytest.raises(ValueError, match=words):
        act()
