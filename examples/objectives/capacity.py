"""Capacity-controlled beta-VAE: the KL term follows a schedule, here up to 6 nats.

python -m examples.objectives.capacity
"""

from examples.objectives.small_run import PARTS, images_and_classifier, train
from examples.quick import QUICK
from trimvae.objectives import CapacityVAE, Ramp


def main() -> None:
    images, classifier = images_and_classifier()
    _, terms = train(CapacityVAE(Ramp(6.0, steps=100), gamma=100.0), images, classifier)
    assert QUICK or abs(terms["kl"] - 6.0) < 1.0
    assert all(part in terms for part in PARTS)


if __name__ == "__main__":
    main()
