import pytest
import torch

from attributions import Contrast, Sparsity, Trim
from attributions.penalties import ContrastSparsity, Step
from attributions.penalties.contrasts import opponents
from attributions.penalties.sparsity import path_l1_over_l2


def draw(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def step_of(latents, target, weight, explained="output"):
    return Step(
        trim=Trim(lambda z: (z * (z.sin() + 2)) @ weight, lambda z: z, explained=explained),
        encode=lambda x: x,
        inputs=latents,
        latents=latents,
        target=target,
        alphas=torch.tensor([[0.2, 0.7]]).expand(len(latents), -1),
    )


def test_the_runner_up_is_the_likeliest_other_class():
    outputs = draw(9, 4)
    expected = outputs.topk(2, dim=1).indices[:, 1]
    assert torch.equal(opponents(outputs, outputs.argmax(dim=1)), expected)
    # Also where the class explained is not the likeliest.
    assert torch.equal(opponents(outputs, expected), outputs.argmax(dim=1))


def test_random_opponents_are_all_the_other_classes_and_repeat_with_their_generator():
    target = torch.arange(3).repeat(200)

    def drawn():
        return opponents(draw(600, 3), target, "random", torch.Generator().manual_seed(0))

    found = drawn()
    assert torch.equal(found, drawn())
    assert not (found == target).any()
    assert {(a, b) for a, b in zip(target.tolist(), found.tolist(), strict=True)} == {
        (a, b) for a in range(3) for b in range(3) if a != b
    }


def test_the_penalty_is_the_sparsity_of_a_contrast():
    latents, weight = draw(1, 5), draw(5, 3)
    outputs = step_of(latents, 0, weight).trim(latents)
    first, second = outputs.topk(2, dim=1).indices[0].tolist()
    step = step_of(latents, torch.tensor([first]), weight)
    told_apart = step_of(latents, 0, weight, Contrast(first, second))
    torch.testing.assert_close(ContrastSparsity()(step), path_l1_over_l2(told_apart.contributions))


def test_what_speaks_for_both_classes_alike_does_not_count():
    latents, weight = draw(6, 4).abs(), torch.zeros(4, 2)
    weight[0, 0], weight[1:] = 1.0, 5.0  # only the first latent tells the classes apart
    step = step_of(latents, torch.zeros(6, dtype=torch.long), weight)
    assert ContrastSparsity()(step).item() == pytest.approx(1.0, abs=1e-3)
    assert Sparsity()(step).item() > 1.3


def test_a_single_output_has_no_opponent():
    step = step_of(draw(6, 4), 0, draw(4, 1))
    torch.testing.assert_close(ContrastSparsity()(step), Sparsity()(step))


def test_an_unknown_opponent_is_refused():
    with pytest.raises(ValueError, match=r"`opponent` must be one of .* Got 'nobody'"):
        ContrastSparsity(opponent="nobody")
