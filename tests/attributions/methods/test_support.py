import pytest
import torch

from attributions.methods.support import torch_supports


def raising(error):
    def attempt():
        raise error

    return attempt


def test_what_runs_is_supported():
    assert torch_supports(lambda: None)


@pytest.mark.parametrize(
    "error",
    [
        NotImplementedError("Trying to use forward AD with lstm that does not support it"),
        RuntimeError("vmap: It looks like you are calling .item() on a Tensor"),
        RuntimeError("Batching rule not implemented for aten::foo; fallback path"),
        RuntimeError(
            "The following operation failed in the TorchScript interpreter.\n"
            "Traceback of TorchScript (most recent call last):\n"
            "RuntimeError: Trying to use forward AD with lstm that does not support it\n"
        ),
    ],
)
def test_a_refusal_of_torch_is_a_no(error):
    assert not torch_supports(raising(error))


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        RuntimeError("my model has no vmap: sorry"),
        NotImplementedError(),
        ValueError("vmap: of the user's own kind"),
        torch.OutOfMemoryError("out of memory"),
    ],
)
def test_any_other_error_comes_out_as_itself(error):
    with pytest.raises(type(error)) as raised:
        torch_supports(raising(error))
    assert raised.value is error


def test_torch_still_refuses_in_these_words():
    """If this fails, torch says it otherwise: adapt `attributions.methods.support`."""

    class Bare(torch.autograd.Function):
        @staticmethod
        def forward(ctx, inputs):
            return inputs.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient

    point = torch.ones(2, 2)
    for function in (Bare.apply, lambda z: torch.cdist(z, z), torch.rand_like):

        def columns(function=function):
            return torch.func.vmap(
                lambda direction: torch.func.jvp(function, (point,), (direction,))[1]
            )(torch.ones(3, 2, 2))

        assert not torch_supports(columns)
