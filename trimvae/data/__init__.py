"""Data to train and explain with: sprites, photographs, digits, Fashion-MNIST, arrays, folders."""

from trimvae.data.csv_files import csv_table
from trimvae.data.dsprites import sprites
from trimvae.data.factor_files import dsprites_file, mpi3d_file, shapes3d_file
from trimvae.data.factors import FactorData
from trimvae.data.mnist import digits, fashion_mnist
from trimvae.data.photos import photographs
from trimvae.data.pictures import image_folder
from trimvae.data.splits import Split, split
from trimvae.data.user_arrays import arrays

__all__ = [
    "FactorData",
    "Split",
    "arrays",
    "csv_table",
    "digits",
    "dsprites_file",
    "fashion_mnist",
    "image_folder",
    "mpi3d_file",
    "photographs",
    "shapes3d_file",
    "split",
    "sprites",
]
