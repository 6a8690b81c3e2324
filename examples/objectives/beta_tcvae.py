"""beta-TCVAE: a heavier total correlation, the rest of the KL term as it is.

python examples/objectives/beta_tcvae.py
"""

from small_run import PARTS, images_and_classifier, train

from trimvae.objectives import BetaTCVAE, BetaVAE


def main() -> None:
    images, classifier = images_and_classifier()
    _, plain = train(BetaVAE(), images, classifier)
    _, terms = train(BetaTCVAE(6.4), images, classifier)
    assert terms["total_correlation"] < plain["total_correlation"]
    assert all(part in terms for part in PARTS)


if __name__ == "__main__":
    main()
