"""Data to train and explain with: digits, Fashion-MNIST, arrays and image folders of your own."""

from trimvae.data.arrays import arrays, image_folder
from trimvae.data.mnist import digits, fashion_mnist
from trimvae.data.split import Split, split

__all__ = ["Split", "arrays", "digits", "fashion_mnist", "image_folder", "split"]
