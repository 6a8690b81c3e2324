"""What planted rules are run with, and where results are kept."""

from pathlib import Path

from benchmarks.planted_rules.arms import AS_TRAINED
from benchmarks.sizes import sized

OBJECTIVES = ("beta-VAE (4)", "beta-TCVAE (6, gamma 4)", "FactorVAE (10)")
FIGURES = (
    "hard_share",
    "soft_share",
    "auroc",
    "rank_correlation",
    "effective_latents",
    "agreement",
    "mig",
)
LATENTS, BATCH = 8, 64
# A step of FactorVAE reads two batches.
EPOCHS = dict(zip(OBJECTIVES, sized((8, 8, 12), (1, 1, 1)), strict=True))
EPOCHS_ON = dict(zip(OBJECTIVES, sized((5, 5, 8), (1, 1, 1)), strict=True))
PREDICTION_WEIGHT, SPARSITY = 20.0, 50.0


def key(*parts: object) -> str:
    return "_".join("".join(c for c in str(part) if c.isalnum()) for part in parts)


def result_path(
    out: Path, rule: str, name: str, through: bool, seed: int, arm: str = AS_TRAINED
) -> Path:
    """Where a result is kept."""
    axes = () if arm == AS_TRAINED else (arm,)
    return out / f"{key(rule, name, through, *axes, seed)}.json"
