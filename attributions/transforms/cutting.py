"""A network cut in two at a layer: up to its activations, and from there to the outputs."""

import difflib
import types
from collections import Counter
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from attributions.outputs import as_outputs
from attributions.replicas import frozen

# What the layer returns in place of its own activations, in this thread.
_GIVEN: ContextVar[Tensor] = ContextVar("given")

# Inputs on which both halves together are compared with the whole network.
_TRIED = 2


class _Reached(BaseException):
    """Ends a forward pass at the layer; no network's own `except Exception` holds it up."""


class CutNetwork(nn.Module):
    """Any network in two halves: `head` gives a layer's activations, `tail` goes on from them.

    The tail is the network itself with the layer's output replaced, so that it needs no knowledge
    of how the modules are wired. The input then counts for nothing but its shape: a stand-in passes
    through, and whatever modules make of it before the layer is computed once and kept. Both halves
    are frozen replicas; the caller's network is never changed, and threads do not meet.

    Args:
        network: A trained module.
        layer: Name of one of its modules, or that module. All that reaches the output must pass
            through it.
        inputs: `(n, *event)`, a few inputs; the first is the stand-in.

    Raises:
        TypeError: `network` is no module, or the layer returns something else than a tensor.
        ValueError: There is no such layer, it does not run exactly once in a forward pass, or
            something reaches the output without passing through it.

    Examples:
        >>> network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
        >>> inputs = torch.randn(5, 4)
        >>> cut = CutNetwork(network, "1", inputs)
        >>> torch.allclose(cut.tail(cut.head(inputs)), network(inputs))
        True
    """

    stand_in: Tensor

    def __init__(self, network: nn.Module, layer: str | nn.Module, inputs: Tensor) -> None:
        super().__init__()
        if not isinstance(network, nn.Module):
            raise TypeError(
                f"`network` must be a module with layers. Got {type(network).__name__}. "
                "Pass the nn.Module itself."
            )
        network = getattr(network, "_orig_mod", network)  # what torch.compile was given
        self.layer = name_of_layer(network, layer)
        stand_in = inputs[:1].detach()
        self._first, self._second = frozen(network), frozen(network)
        self._first.get_submodule(self.layer).register_forward_hook(_stop)
        with torch.no_grad():
            recording = _Recording(frozen(network), self.layer, stand_in)
        self.shape = tuple(recording.activations.shape[1:])
        """Of the activations of one input."""
        self._is_written = recording.is_written
        for name, (value, written) in recording.held.items():
            _hold(self._second.get_submodule(name), value, written)
        stand = self._second.get_submodule(self.layer)
        stand._forward_hooks.clear()  # they have had their say on what is given
        stand._forward_pre_hooks.clear()
        stand.__dict__["forward"] = _give
        self.register_buffer("stand_in", stand_in.clone(), persistent=False)
        super().train(False)
        self._check(frozen(network), inputs)

    def train(self, mode: bool = True) -> "CutNetwork":
        """Stay in eval mode."""
        return self

    def head(self, inputs: Tensor) -> Tensor:
        """Activations of the layer at inputs `(batch, *event)`: `(batch, *activations)`.

        Raises:
            ValueError: The inputs have another shape than those that the network was cut with.
        """
        _check_shape("inputs", inputs, tuple(self.stand_in.shape[1:]))
        try:
            self._first(inputs.clone())
        except _Reached as reached:
            activations: Tensor = reached.args[0]
            return activations
        raise RuntimeError(
            f"`layer` must run in every forward pass. Got an input that does not reach "
            f"{self.layer!r}. Choose a layer outside of branches."
        )

    def tail(self, activations: Tensor) -> Tensor:
        """Outputs of the network where the layer returns `(batch, *activations)`.

        Raises:
            ValueError: The activations have another shape than the layer's.
        """
        _check_shape("activations", activations, self.shape)
        # Contiguous, as the layer's own: a network may take views of it.
        token = _GIVEN.set(activations.clone(memory_format=torch.contiguous_format))
        try:
            stand_in = self.stand_in.expand(len(activations), *self.stand_in.shape[1:])
            return as_outputs(self._second(stand_in.clone() if self._is_written else stand_in))
        finally:
            _GIVEN.reset(token)

    def forward(self, activations: Tensor) -> Tensor:
        """The tail, so that the cut network is a predictor of activations."""
        return self.tail(activations)

    def _check(self, network: nn.Module, inputs: Tensor) -> None:
        """Raise a ValueError where the outputs depend on more than the activations.

        The stand-in itself shows nothing: it is asked beside what it is when it is darker.
        """
        some = torch.cat([inputs[:_TRIED], inputs[:1] / 2]).detach()
        with torch.no_grad():
            whole, halves = as_outputs(network(some.clone())), self.tail(self.head(some))
        scale = float(whole.abs().max())
        if not torch.allclose(whole, halves, rtol=1e-3, atol=1e-4 * scale):
            around = self.layer.rpartition(".")[0] or "a later layer"
            raise ValueError(
                "`layer` must carry all that reaches the output. Got "
                f"{self.layer!r}, around which a connection leads. Choose the output of its "
                f"block: {around!r}."
            )


def _check_shape(argument: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(tensor.shape[1:]) != shape:
        raise ValueError(
            f"`{argument}` must have shape (batch, {', '.join(map(str, shape))}). "
            f"Got {tuple(tensor.shape)}. Bring them to the size that the network was cut with."
        )


def name_of_layer(network: nn.Module, layer: str | nn.Module) -> str:
    """Name of a layer of a network, given by name or as the module itself.

    Raises:
        ValueError: There is none; names that are near are listed.
    """
    modules = {name: module for name, module in network.named_modules() if name}
    if isinstance(layer, nn.Module):
        found = [name for name, module in modules.items() if module is layer]
        if not found:
            raise ValueError(
                f"`layer` must be a part of the network. Got a {type(layer).__name__} that is "
                "not. Pass one of its own modules, or a name of network.named_modules()."
            )
        name: str = found[0]
        return name
    if layer not in modules:
        last = layer.rpartition(".")[2]
        near = difflib.get_close_matches(layer, modules, n=5, cutoff=0.5)
        near += [name for name in modules if name.rpartition(".")[2] == last and name not in near]
        shown = ", ".join(map(repr, (near or list(modules))[:5]))
        raise ValueError(
            f"`layer` must be the name of a layer of the network. Got {layer!r}. "
            f"Near it: {shown}; network.named_modules() lists all."
        )
    return layer


class _Recording:
    """One forward pass with the stand-in: how often the layer runs, and what is done before it.

    Args:
        network: A replica of its own, whose modules get hooks.
        layer: Name of the layer.
        stand_in: `(1, *event)`.
    """

    def __init__(self, network: nn.Module, layer: str, stand_in: Tensor) -> None:
        self._names = {module: name for name, module in network.named_modules()}
        self._layer, self._began = layer, False
        self._before: dict[str, tuple[Tensor, Tensor, int]] = {}
        self._runs: Counter[str] = Counter()
        self.activations: Any = None
        for module in self._names:
            module.register_forward_pre_hook(self._starts)
            module.register_forward_hook(self._ends)
        given = stand_in.clone()
        network(given)
        self.is_written = given._version > 0
        """Whether the network writes to its input, so that each pass needs a copy."""
        self._check()

    def _starts(self, module: nn.Module, arguments: Any) -> None:
        self._began = self._began or self._names[module] == self._layer

    def _ends(self, module: nn.Module, arguments: Any, returned: Any) -> None:
        name = self._names[module]
        self._runs[name] += 1
        if name == self._layer:
            self.activations = returned
        one = isinstance(returned, Tensor) and returned.ndim > 0 and len(returned) == 1
        if one and not self._began:
            self._before[name] = (returned, returned.clone(), returned._version)

    def _check(self) -> None:
        runs = self._runs[self._layer]
        if runs != 1:
            raise ValueError(
                f"`layer` must run once in a forward pass. Got {self._layer!r}, which runs "
                f"{runs} times. Choose a layer that is not shared, such as the block around it, "
                "or give this place an nn.Identity of its own."
            )
        if not isinstance(self.activations, Tensor):
            raise TypeError(
                f"`layer` must return a tensor. Got {self._layer!r}, which returns "
                f"{type(self.activations).__name__}. Choose a layer inside or around it."
            )

    @property
    def held(self) -> dict[str, tuple[Tensor, bool]]:
        """What the outermost modules that end before the layer return, by name.

        And whether something writes to it afterwards, so that each pass needs a copy.
        """
        names = [name for name in self._before if self._runs[name] == 1]
        outermost = [name for name in names if not any(_is_inside(name, one) for one in names)]
        return {
            name: (kept, original._version != version)
            for name in outermost
            for original, kept, version in [self._before[name]]
        }


def _is_inside(name: str, other: str) -> bool:
    return name.startswith(f"{other}.")


def _stop(module: nn.Module, arguments: Any, returned: Any) -> None:
    raise _Reached(returned)


def _give(*arguments: Any, **options: Any) -> Tensor:
    return _GIVEN.get()


def _hold(module: nn.Module, value: Tensor, written: bool) -> None:
    """Let a module return what it once returned, for as many examples as there are."""
    module.register_buffer("_held", value, persistent=False)
    module.__dict__["forward"] = types.MethodType(_held_copy if written else _held, module)
    module._forward_hooks.clear()
    module._forward_pre_hooks.clear()


def _held(module: Any, *arguments: Any, **options: Any) -> Tensor:
    held: Tensor = module._held
    return held.expand(len(_GIVEN.get()), *held.shape[1:])


def _held_copy(module: Any, *arguments: Any, **options: Any) -> Tensor:
    return _held(module).clone()
