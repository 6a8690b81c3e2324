import pytest
import torch
from sklearn.metrics import homogeneity_score, normalized_mutual_info_score

from attributions.measures import (
    beyond_class,
    class_dependence,
    class_told,
    classes_per_latent,
    normalised_mutual_information,
    within_class_share,
)

FUNCTIONS = (beyond_class, class_dependence, classes_per_latent, within_class_share)


@pytest.mark.parametrize("seed", range(5))
def test_class_dependence_is_scikit_learns_normalised_mutual_information(seed):
    torch.manual_seed(seed)
    predicted = torch.randint(2, 9, (300,))
    attributions = torch.randn(300, 6, dtype=torch.float64)
    attributions[range(300), predicted % 6] += 1.5
    strongest = attributions.abs().argmax(dim=1)
    expected = normalized_mutual_info_score(strongest, predicted)
    assert class_dependence(attributions, predicted).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_told_of_the_class_is_scikit_learns_homogeneity(seed):
    generator = torch.Generator().manual_seed(seed)
    classes, latents = (torch.randint(size, (300,), generator=generator) for size in (4, 6))
    latents[:150] = classes[:150]
    counts = torch.zeros(6, 4).index_put((latents, classes), torch.ones(300), accumulate=True)
    expected = homogeneity_score(classes, latents)
    assert class_told(counts).item() == pytest.approx(expected, abs=1e-12)
    assert class_told(torch.ones(3, 1)).isnan()


def test_an_axis_with_a_class_at_each_end_tells_half_of_it():
    quarters = torch.arange(4).repeat(50)
    attributions = torch.nn.functional.one_hot(quarters // 2, 2) * 1.0
    assert class_dependence(attributions, quarters) == pytest.approx(2 / 3)
    counts = attributions.T @ torch.nn.functional.one_hot(quarters).float()
    assert class_told(counts).item() == pytest.approx(0.5)


def test_signs_sizes_order_of_latents_and_names_of_classes_do_not_matter():
    attributions, predicted = torch.randn(200, 5), torch.randint(4, (200,))
    plain = class_dependence(attributions, predicted)
    turned = 3 * attributions[:, [4, 2, 0, 1, 3]] * torch.tensor([1, -1, 1, -1, -1])
    torch.testing.assert_close(class_dependence(turned, 10 - predicted), plain)


def test_a_latent_for_each_class_is_a_tautology_and_shared_factors_are_not():
    predicted = torch.arange(8).repeat(50)
    own = torch.nn.functional.one_hot(predicted).float()
    assert class_dependence(own, predicted) == 1
    assert classes_per_latent(own, predicted).tolist() == [1] * 8
    bits = torch.stack([predicted >> bit & 1 for bit in range(3)], dim=1) * 2.0 - 1
    generator = torch.Generator().manual_seed(0)
    shared = bits * torch.rand(400, 3, generator=generator)
    assert class_dependence(shared, predicted) < 0.1  # at most .022 on ten seeds
    assert classes_per_latent(shared, predicted).tolist() == [8] * 3


def test_information_of_a_table_is_that_of_the_examples_it_counts():
    rows, columns = torch.randint(4, (80,)), torch.randint(3, (80,))
    counts = torch.zeros(5, 3)  # the last row is empty
    for row, column in zip(rows, columns, strict=True):
        counts[row, column] += 1
    expected = normalized_mutual_info_score(rows, columns)
    assert normalised_mutual_information(counts).item() == pytest.approx(expected, abs=1e-12)
    assert normalised_mutual_information(torch.tensor([[4.0, 0.0]])).isnan()


def test_what_lies_within_classes_and_between_them_adds_up():
    attributions, predicted = torch.randn(90, 4, dtype=torch.float64), torch.arange(90) % 3
    attributions += predicted.unsqueeze(1)
    means = torch.stack([attributions[predicted == index].mean(dim=0) for index in range(3)])
    between = 30 * (means - attributions.mean(dim=0)).pow(2).sum()
    whole = (attributions - attributions.mean(dim=0)).pow(2).sum()
    share = within_class_share(attributions, predicted)
    torch.testing.assert_close(share + between / whole, torch.ones_like(share))


def test_beyond_its_class_every_mean_is_zero_whatever_the_numbers_of_the_classes():
    attributions, predicted = torch.randn(40, 3, dtype=torch.float64), torch.arange(40) % 4 * 7
    left = beyond_class(attributions, predicted)
    for index in predicted.unique():
        torch.testing.assert_close(left[predicted == index].mean(0), torch.zeros(3).double())
    torch.testing.assert_close(beyond_class(left, predicted), left)


def test_a_latent_takes_part_where_it_carries_the_least_share_and_dead_ones_nowhere():
    attributions = torch.tensor([[9.0, -1.0, 0.0], [-8.0, 1.5, 0.0], [0.0, 0.0, 0.0]])
    predicted = torch.tensor([0, 1, 2])
    assert classes_per_latent(attributions, predicted).tolist() == [2, 2, 0]
    assert classes_per_latent(attributions, predicted, least=0.12).tolist() == [2, 1, 0]
    with pytest.raises(ValueError, match="`least` must be above 0 and at most 1. Got 0"):
        classes_per_latent(attributions, predicted, least=0)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_classes_that_do_not_belong_to_the_rows_are_refused(function):
    with pytest.raises(
        ValueError, match=r"`predicted` must hold one class .*Got \(3,\) for \(4, 2"
    ):
        function(torch.randn(4, 2), torch.zeros(3))
