"""beta-VAE with warm-up: a heavier KL term, reached over the first 100 steps.

python -m examples.objectives.beta_vae
"""

from examples.objectives.small_run import PARTS, images_and_classifier, train
from examples.quick import QUICK
from trimvae.objectives import BetaVAE, Ramp


def main() -> None:
    images, classifier = images_and_classifier()
    _, plain = train(BetaVAE(), images, classifier)
    _, heavy = train(BetaVAE(Ramp(8.0, steps=100)), images, classifier)
    assert QUICK or heavy["kl"] < plain["kl"]
    assert all(part in heavy for part in PARTS)


if __name__ == "__main__":
    main()
