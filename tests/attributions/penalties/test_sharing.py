import math

import pytest
import torch

from attributions import Trim
from attributions.penalties import SharedSparsity, Step
from attributions.penalties.monotonicity import turning_back
from attributions.penalties.sharing import evidence_entropies, shared_sparsity


def entropies_loop(attributions, target):
    """The definitions, example by example."""

    def entropy(shares):
        return -sum(share * math.log(share) for share in shares if share > 0)

    def mean(rows):
        return [sum(column) / len(rows) for column in zip(*rows, strict=True)]

    rows = [[a * a for a in row] for row in attributions.tolist()]
    rows = [[a / sum(row) for a in row] for row in rows]
    classes = sorted(set(target.tolist()))
    members = [
        [row for row, c in zip(rows, target.tolist(), strict=True) if c == k] for k in classes
    ]
    return (
        sum(map(entropy, rows)) / len(rows),
        sum(len(some) * entropy(mean(some)) for some in members) / len(rows),
        entropy(mean(rows)),
    )


@pytest.fixture
def some():
    generator = torch.Generator().manual_seed(0)
    attributions = torch.randn(40, 6, generator=generator, dtype=torch.float64)
    return attributions, torch.randint(4, (40,), generator=generator) * 3


def test_entropies_are_those_of_the_definitions(some):
    torch.testing.assert_close(
        torch.stack(evidence_entropies(*some)),
        torch.tensor(entropies_loop(*some), dtype=torch.float64),
    )


def test_entropies_are_ordered_and_free_of_scale(some):
    attributions, target = some
    entropies = evidence_entropies(attributions, target)
    assert entropies.of_example < entropies.of_class < entropies.of_data
    torch.testing.assert_close(evidence_entropies(attributions * 1e-3, target), entropies)


def test_class_information_is_scikit_learns_where_each_example_uses_one_latent():
    sklearn = pytest.importorskip("sklearn.metrics")
    generator = torch.Generator().manual_seed(0)
    strongest, target = torch.randint(5, (2, 60), generator=generator)
    attributions = torch.nn.functional.one_hot(strongest).double()
    found = evidence_entropies(attributions, target).class_information
    expected = sklearn.mutual_info_score(strongest.numpy(), target.numpy())
    assert float(found) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("price", "factors_win"), [(0.0, False), (0.4, False), (0.6, True)])
def test_an_axis_for_each_factor_is_cheaper_from_the_price_on_that_theory_gives(price, factors_win):
    # log 3 against price * log 8: from 0.528 on
    classes = torch.arange(8).repeat(3)
    own, bits = torch.eye(8).repeat(3, 1), torch.ones(24, 3)
    cheaper = shared_sparsity(bits, classes, price) < shared_sparsity(own, classes, price)
    assert bool(cheaper) == factors_win


def test_gradients_are_finite_also_at_zero_and_right_elsewhere(some):
    attributions, target = some
    torch.autograd.gradcheck(
        lambda a: shared_sparsity(a, target), attributions[:, :3].clone().requires_grad_()
    )
    flat = torch.zeros(4, 3, requires_grad=True)
    shared_sparsity(flat, torch.tensor([0, 0, 1, 1])).backward()
    assert torch.isfinite(flat.grad).all()


def step_of(latents, target, weight):
    return Step(
        trim=Trim(lambda x: x, lambda z: (z * z.sin().add(2)) @ weight),
        encode=lambda x: x,
        inputs=latents,
        latents=latents,
        target=target,
        alphas=torch.tensor([[0.1, 0.4, 0.9]]).expand(len(latents), -1),
    )


def test_the_penalty_is_its_functions_at_a_step():
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(20, 4, generator=generator)
    step = step_of(
        latents,
        torch.randint(3, (20,), generator=generator),
        torch.randn(4, 3, generator=generator),
    )
    attributions = step.contributions.mean(dim=1)
    expected = shared_sparsity(attributions, step.target, 0.5) + turning_back(step.contributions)
    torch.testing.assert_close(SharedSparsity(class_price=0.5)(step), expected)


def test_a_single_output_is_one_class():
    latents = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    step = step_of(latents, 0, torch.ones(4, 1))
    cheap, dear = (SharedSparsity(class_price=price)(step) for price in (0.0, 9.0))
    torch.testing.assert_close(cheap, dear)


def test_a_negative_price_is_refused():
    with pytest.raises(ValueError, match=r"`class_price` must be at least 0\. Got -1"):
        SharedSparsity(class_price=-1)
