"""Explain a trained classifier through the latents of a disentangling VAE."""

from typing import TYPE_CHECKING

from trimvae.doors import open_door

if TYPE_CHECKING:
    from trimvae.evaluation.evaluating import evaluate as evaluate
    from trimvae.evaluation.result import Evaluation as Evaluation
    from trimvae.explanation.counterfactuals import find_counterfactuals as find_counterfactuals
    from trimvae.explanation.explaining import explain as explain
    from trimvae.explanation.explanation import Explanation as Explanation
    from trimvae.explanation.traversals import traverse as traverse
    from trimvae.models.alae import ALAE as ALAE
    from trimvae.models.infogan import InfoGAN as InfoGAN
    from trimvae.models.ivae import IVAE as IVAE
    from trimvae.models.stylegan2 import StyleGAN2 as StyleGAN2
    from trimvae.models.vae import VAE as VAE
    from trimvae.objectives import BetaTCVAE as BetaTCVAE
    from trimvae.objectives import BetaVAE as BetaVAE
    from trimvae.objectives import FactorVAE as FactorVAE
    from trimvae.recurrence.agreeing import consensus as consensus
    from trimvae.recurrence.result import Consensus as Consensus
    from trimvae.training.fitting import fit as fit
    from trimvae.training.variational import VAETraining as VAETraining

__version__ = "0.2.0"

__getattr__, __dir__, __all__ = open_door(
    __name__,
    {
        "ALAE": "trimvae.models.alae",
        "BetaTCVAE": "trimvae.objectives",
        "BetaVAE": "trimvae.objectives",
        "Consensus": "trimvae.recurrence.result",
        "Evaluation": "trimvae.evaluation.result",
        "Explanation": "trimvae.explanation.explanation",
        "FactorVAE": "trimvae.objectives",
        "IVAE": "trimvae.models.ivae",
        "InfoGAN": "trimvae.models.infogan",
        "StyleGAN2": "trimvae.models.stylegan2",
        "VAE": "trimvae.models.vae",
        "VAETraining": "trimvae.training.variational",
        "consensus": "trimvae.recurrence.agreeing",
        "evaluate": "trimvae.evaluation.evaluating",
        "explain": "trimvae.explanation.explaining",
        "find_counterfactuals": "trimvae.explanation.counterfactuals",
        "fit": "trimvae.training.fitting",
        "traverse": "trimvae.explanation.traversals",
    },
    folders=(
        "cli",
        "data",
        "evaluation",
        "explanation",
        "figures",
        "metrics",
        "models",
        "objectives",
        "recurrence",
        "report",
        "training",
    ),
)
