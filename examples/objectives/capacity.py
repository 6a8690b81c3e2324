"""Capacity-controlled beta-VAE: the KL term follows a schedule, here up to 6 nats.

python examples/objectives/capacity.py
"""

from small_run import PARTS, images_and_classifier, train

from trimvae.objectives import CapacityVAE, Ramp


def main() -> None:
    images, classifier = images_and_classifier()
    _, terms = train(CapacityVAE(Ramp(6.0, steps=100), gamma=100.0), images, classifier)
    assert abs(terms["kl"] - 6.0) < 1.0
    assert all(part in terms for part in PARTS)


if __name__ == "__main__":
    main()
