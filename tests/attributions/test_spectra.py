import pytest
import torch

from attributions.spectra import plot_bands, plot_basis


def test_bands_are_one_curve_per_class():
    axes = plot_bands(torch.randn(3, 9), class_names=["a", "b", "c"], title="t")
    curves = [line for line in axes.get_lines() if len(line.get_xdata()) == 9]
    assert len(curves) == 3
    many = plot_bands(torch.randn(30, 5))
    assert "7 of 30" in many.get_title(loc="left")
    with pytest.raises(ValueError, match="`attributions` must have two dimensions"):
        plot_bands(torch.randn(3))


def test_a_basis_is_one_picture_per_latent_with_zero_in_the_middle():
    figure = plot_basis(torch.randn(7, 1, 8, 8), names=[f"part{i}" for i in range(7)])
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert len(images) == 7
    assert all(image.norm.vmin == -image.norm.vmax for image in images)
    assert len(plot_basis(torch.randn(2, 50)).axes) == 2
    with pytest.raises(ValueError, match="`pictures` must have shape"):
        plot_basis(torch.randn(3, 4, 5))
