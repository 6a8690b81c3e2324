import pytest
import torch

from trimvae.data import FactorData, sprites


def grid(sizes=(2, 3)) -> FactorData:
    names = [f"f{index}" for index in range(len(sizes))]
    return FactorData(
        lambda levels: levels.float(), {n: range(s) for n, s in zip(names, sizes, strict=True)}
    )


def test_examples_agree_however_they_are_asked_for():
    data = sprites(size=32).only(orientation=[0], shape=[0, 2])
    assert len(data) == 2 * 6 * 32 * 32
    positions = torch.tensor([0, 777, 12_287])
    assert torch.equal(data.images_at(positions), torch.stack([data[int(i)] for i in positions]))
    assert torch.equal(data.sample(data.factors[positions]), data.images_at(positions))
    assert torch.equal(data[-1], data[len(data) - 1])


def test_held_out_combinations_are_left_out_and_nothing_else():
    data = grid((2, 3))
    train, test = data.without(f0=[1], f1=[0, 1]), data.only(f0=[1], f1=[0, 1])
    assert test.factors.tolist() == [[1, 0], [1, 1]]
    both = train.factors.tolist() + test.factors.tolist()
    assert sorted(both) == data.factors.tolist()
    # Restricting twice is restricting to both.
    assert data.only(f0=[1]).only(f1=[2]).factors.tolist() == [[1, 2]]


def test_fixed_factors_stay_and_the_others_are_uniform():
    generator = torch.Generator().manual_seed(0)
    rows = sprites().draw(6000, fixed={"shape": 2}, generator=generator)
    assert (rows[:, 0] == 2).all()
    counts = torch.bincount(rows[:, 1], minlength=6) / 6000
    assert (counts - 1 / 6).abs().max() < 0.03
    held_out = grid((2, 3)).without(f0=[1], f1=[0])
    assert set(map(tuple, held_out.draw(200, fixed={"f0": 1}).tolist())) == {(1, 1), (1, 2)}


def test_correlated_factors_follow_the_published_density():
    data = grid((4, 4))
    rows = data.draw(
        40_000, correlated={("f0", "f1"): 0.3}, generator=torch.Generator().manual_seed(0)
    )
    counts = torch.zeros(4, 4).index_put_(tuple(rows.T), torch.ones(len(rows)), accumulate=True)
    unit = torch.arange(4) / 3
    density = (-((unit[:, None] - unit) ** 2) / (2 * 0.3**2)).exp()
    assert (counts / counts.sum() - density / density.sum()).abs().max() < 0.01


def test_drawing_leaves_the_global_generator_alone_and_repeats():
    state = torch.get_rng_state()
    first, second = (
        sprites().draw(10, generator=torch.Generator().manual_seed(4)) for _ in range(2)
    )
    assert torch.equal(first, second)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: grid().draw(0), "`n` must be at least 1"),
        (lambda: grid().draw(2, fixed={"hue": 1}), "`name` must be a factor"),
        (lambda: grid().draw(2, fixed={"f0": 2}), "`f0` must be a level from 0 to 1"),
        (lambda: grid().draw(2, correlated={("f0", "f1"): 0.0}), "`correlated` must be above 0"),
        (lambda: grid().only(f0=[1]).draw(2, fixed={"f0": 0}), "`fixed` must occur"),
        (lambda: grid().only(f0=[]), "must leave an example"),
        (lambda: grid().sample(torch.zeros(3, 5)), r"`factors` must have shape \(n, 2\)"),
        (lambda: grid().sample(torch.tensor([[0, 3]])), "`factors` must be levels"),
        (lambda: FactorData(lambda levels: levels, {}), "`factor_values` must give"),
    ],
)
def test_bad_arguments_are_named(act, words):
    with pytest.raises(ValueError, match=words):
        act()


def test_positions_count_from_either_end_and_end_there():
    data = grid((2, 3))
    assert torch.equal(data[-len(data)], data[0])
    assert len(list(data)) == len(data)  # a loop ends with IndexError
    for beyond in (len(data), -len(data) - 1):
        with pytest.raises(IndexError, match="`index` must be below 6"):
            data[beyond]
