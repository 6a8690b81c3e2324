"""DIP-VAE I and II: the covariance of the code is drawn to the identity.

python -m examples.objectives.dip_vae
"""

from examples.objectives.small_run import PARTS, images_and_classifier, train
from examples.quick import QUICK
from trimvae.objectives import DIPVAE


def main() -> None:
    images, classifier = images_and_classifier()
    for moments in ("I", "II"):
        _, none = train(DIPVAE(0.0, moments=moments), images, classifier)
        _, terms = train(DIPVAE(10.0, moments=moments), images, classifier)
        assert QUICK or terms["covariance"] < none["covariance"]
        assert all(part in terms for part in PARTS)


if __name__ == "__main__":
    main()
