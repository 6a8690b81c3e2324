from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from attributions.randomness import checked_seed, seed_of, undisturbed


def test_seeds_follow_the_generator_and_none_is_zero():
    assert seed_of(None) == 0
    first, second = (torch.Generator().manual_seed(7) for _ in range(2))
    drawn = [seed_of(first) for _ in range(3)]
    assert drawn == [seed_of(second) for _ in range(3)]
    assert len(set(drawn)) == 3


def test_global_generators_are_seeded_inside_and_as_before_outside():
    def draw():
        return torch.rand(2).tolist(), np.random.rand(2).tolist()

    torch.manual_seed(3)
    np.random.seed(3)
    expected = draw()
    torch.manual_seed(3)
    np.random.seed(3)
    with undisturbed(1, torch.device("cpu")):
        first = draw()
    assert draw() == expected
    with undisturbed(1, torch.device("cpu")):
        assert draw() == first
    with undisturbed(2, torch.device("cpu")):
        assert draw() != first


def test_threads_that_seed_global_generators_take_turns():
    def draw(seed):
        with undisturbed(seed, torch.device("cpu")):
            return [(torch.rand(1).item(), np.random.rand()) for _ in range(20)]

    seeds = list(range(8)) * 25
    alone = [draw(seed) for seed in seeds[:8]]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(draw, seeds))
    assert all(found == alone[seed] for found, seed in zip(together, seeds, strict=True))


@pytest.mark.parametrize("seed", [3, np.int64(3), np.uint8(3), -1, 2**64 - 1])
def test_a_seed_of_any_whole_number_seeds_torch(seed):
    found = checked_seed(seed)
    assert type(found) is int
    assert found == seed
    torch.Generator().manual_seed(found)


@pytest.mark.parametrize("seed", [None, 1.5, "a", True, np.float64(1)])
def test_a_seed_that_is_no_whole_number_is_refused(seed):
    with pytest.raises(TypeError, match="`seed` must be a whole number. Got"):
        checked_seed(seed)


def test_a_seed_that_no_generator_holds_is_refused():
    with pytest.raises(ValueError, match="`seed` must have at most 64 bits. Got 1180"):
        checked_seed(2**70)
