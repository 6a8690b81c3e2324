"""Two latents that are one."""

import torch

from attributions.transforms import Identity as Columns
from tests.trimvae.explanation.made import Identity, linear
from trimvae import evaluate, explain
from trimvae.explanation.copies import of_copies


def inputs(count=60, copied=True):
    rows = torch.randn(count, 4, generator=torch.Generator().manual_seed(0))
    if copied:
        rows[:, 2] = -rows[:, 0]
    return rows


def warned(rows):
    predictor = linear([1.0, 0.5, 1.0, 0.0], [0.0, -0.5, 2.0, 0.0])
    return [text for text in explain(Identity(), predictor, rows).warnings if "one latent" in text]


def test_copies_that_are_used_are_named():
    (said,) = warned(inputs())
    assert said.startswith("z0 and z2 are all but one latent (correlation -1.00 in the data)")


def test_independent_latents_and_few_examples_are_not():
    assert warned(inputs(copied=False)) == []
    assert warned(inputs(count=10)) == []


def test_columns_that_go_together_are_no_choice_of_a_code():
    predictor = linear([1.0, 0.5, 1.0, 0.0], [0.0, -0.5, 2.0, 0.0])
    columns = explain(Columns((4,)), predictor, inputs())
    assert columns.warnings == ()
    found = evaluate(Columns((4,)), predictor, inputs(), n_alpha=5, n_beta=5)
    assert not any("one latent" in text for text in found.warnings)
    assert "unmixing_gain" not in found.metrics


def test_a_copy_that_is_not_used_or_hardly_known_is_no_matter():
    rows, names = inputs(), list("abcd")
    sure, shares = torch.zeros_like(rows), torch.tensor([0.5, 0.2, 0.3, 0.0])
    assert of_copies(rows, sure, shares, names).startswith("a and c are all but one latent")
    assert of_copies(rows, sure, torch.tensor([0.5, 0.46, 0.04, 0.0]), names) == ""
    assert of_copies(rows, torch.ones_like(rows), shares, names) == ""
