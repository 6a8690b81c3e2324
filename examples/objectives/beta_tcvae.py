"""beta-TCVAE: a heavier total correlation, the rest of the KL term as it is.

python -m examples.objectives.beta_tcvae
"""

from examples.objectives.small_run import PARTS, images_and_classifier, train
from examples.quick import QUICK
from trimvae.objectives import BetaTCVAE, BetaVAE


def main() -> None:
    images, classifier = images_and_classifier()
    _, plain = train(BetaVAE(), images, classifier)
    _, terms = train(BetaTCVAE(6.4), images, classifier)
    assert QUICK or terms["total_correlation"] < plain["total_correlation"]
    assert all(part in terms for part in PARTS)


if __name__ == "__main__":
    main()
