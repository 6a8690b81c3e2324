"""FactorVAE: total correlation by a discriminator that learns beside the VAE.

python -m examples.objectives.factor_vae
"""

from examples.objectives.small_run import PARTS, images_and_classifier, train
from examples.quick import QUICK
from trimvae.objectives import FactorVAE


def main() -> None:
    images, classifier = images_and_classifier()
    # A small, fast discriminator for a short training; the published one is the default.
    objective = FactorVAE(10.0, width=64, depth=3, learning_rate=1e-3)
    # A step reads two batches, so this is as many steps as the others take in 4 epochs.
    _, terms = train(objective, images, classifier, epochs=8)
    assert QUICK or terms["discriminator"] < 0.7  # better than chance, log 2
    assert all(part in terms for part in PARTS)


if __name__ == "__main__":
    main()
