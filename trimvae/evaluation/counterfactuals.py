"""The smallest moves that flip decisions: are they found, near, plausible, and seen by others?"""

from collections.abc import Sequence

import torch

from attributions.measures.intervals import bootstrap_interval
from attributions.measures.judged import cout, oracle_score
from attributions.outputs import decisions
from attributions.predictors import Predictor
from trimvae.evaluation.figure import Measured, Sample, measured_share
from trimvae.evaluation.interventions import MOST_LATENTS, Interventions
from trimvae.explanation.asking import FrozenCode
from trimvae.explanation.counterfactuals import find_counterfactuals

# Examples whose decisions are flipped: each asks a few hundred pictures.
_FLIPPED = 32


def flip_figures(
    code: FrozenCode, asked: Interventions, sample: Sample, judges: Sequence[Predictor]
) -> dict[str, Measured]:
    """Search for the smallest moves that flip decisions, and judge what they draw.

    Args:
        code: Frozen.
        asked: The predictor behind the code's decoder, and the range of the latents.
        sample: The first examples.
        judges: Other classifiers for the same labels.

    Returns:
        Figures over the first 32 examples; of the moves that flip, where there are any. None of a
        regression or contrast, nor of more than 32 latents.
    """
    if not asked.decides or sample.latents.shape[1] > MOST_LATENTS:
        return {}
    predictor, seed = asked.trim.predictor, asked.generator.initial_seed()
    found = find_counterfactuals(
        code, predictor, sample.latents[:_FLIPPED], low=asked.low, high=asked.high
    )
    valid = found.figures.valid
    figures = {"counterfactual_validity": measured_share(valid)}
    if not bool(valid.any()):
        return figures
    carried = cout(predictor, sample.reconstructions[:_FLIPPED][valid], found.inputs[valid])
    figures_of_valid = {
        "counterfactual_distance": found.figures.latent_distance[valid],
        "counterfactual_log_prior_change": (found.figures.log_prior - found.log_prior_before)[
            valid
        ],
        "counterfactual_cout": carried,
    }
    for name, values in figures_of_valid.items():
        generator = torch.Generator().manual_seed(seed)
        ends = bootstrap_interval(values, generator=generator)
        figures[name] = Measured(float(values.double().mean()), ends)
    if judges:
        target = decisions(found.outputs[valid])
        each = zip(found.inputs[valid].split(1), target.split(1), strict=True)
        seen = torch.stack([oracle_score(judges, *pair).mean() for pair in each])
        generator = torch.Generator().manual_seed(seed)
        figures["counterfactual_oracle_score"] = Measured(
            float(seen.mean()), bootstrap_interval(seen, generator=generator)
        )
    return figures
