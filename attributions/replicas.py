"""Replicas of a caller's modules: frozen, in eval mode, and apart from the module itself."""

import copy
import dataclasses
import functools
import time
import types
import weakref
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

Owner = TypeVar("Owner")

# How often weights are copied anew because another thread changed some meanwhile.
_MOST_TRIES = 50


def frozen(owner: Owner, *, apart: bool = False) -> Owner:
    """Return a replica of a module that is in eval mode and outside the autograd graph.

    The module itself is only read, never changed, not even for the length of a call: another
    thread may train or explain it meanwhile. The replica shares the storage of the parameters, so
    it follows optimisers and `load_state_dict` and costs no memory, and no gradient of any order
    can land on it. Whatever else a forward pass may write to is copied: buffers, tensors, lists
    and dictionaries that a module keeps, random generators, and what its hooks and other functions
    hold in their closures. What the replica remembers stays with the replica.

    A compiled module is replaced by the module that it was compiled from, since compiled code has
    no second derivative, and so is one wrapped for training in several processes. A scripted
    module is copied together with its parameters.

    Pitfall: objects that are neither modules nor hold one, such as a logger, and global variables
    stay shared with the caller's module.

    Args:
        owner: A module, or a method of one; anything else is returned as it is.
        apart: Whether parameters are copied as well, so that the replica stays what the module is
            now, whoever trains it. They are copied again where one was changed meanwhile. A thread
            that is just between two parameters of a step cannot be told from one at rest; where
            that matters, hold a lock around its steps.

    Returns:
        The replica, of the same class.

    Examples:
        >>> network = nn.Sequential(nn.Linear(3, 2), nn.Dropout()).train()
        >>> replica = frozen(network)
        >>> replica[0].weight.data_ptr() == network[0].weight.data_ptr()
        True
        >>> replica.training or replica[0].weight.requires_grad or not network.training
        False
    """
    original = _uncompiled(owner)
    keeper = original.__self__ if isinstance(original, types.MethodType) else original
    if not isinstance(keeper, nn.Module):
        return owner  # the modules and tensors of a function are the caller's business
    for _ in range(_MOST_TRIES if apart else 1):
        before = _versions(keeper) if apart else ()
        replicas = _Replicas(apart)
        replica: Owner = replicas.of(original)
        replicas.fill()
        if not apart or before == _versions(keeper):
            break
        time.sleep(0)
    return replica


def _versions(module: nn.Module) -> tuple[int, ...]:
    """How often each parameter and buffer has been changed in place, and which ones there are."""
    tensors = [*module.parameters(), *module.buffers()]
    return tuple(
        number
        for tensor in tensors
        for number in (id(tensor), 0 if tensor.is_inference() else tensor._version)
    )


class _Replicas:
    """What takes the place of each object that a module keeps, by the original's identity."""

    def __init__(self, apart: bool) -> None:
        self._apart = apart
        # With the original, which so lives on: its identity is nobody else's meanwhile.
        self._found: dict[int, tuple[Any, Any]] = {}
        self._unfilled: list[nn.Module] = []

    def of(self, value: Any) -> Any:
        """What takes an object's place: a replica, a copy or, where nothing can change, itself."""
        if id(value) in self._found:
            return self._found[id(value)][1]
        if isinstance(value, nn.Module):
            return self._module(value)
        if isinstance(value, Tensor):
            return self._tensor(value)
        copied = _COPIES.get(type(value))
        if copied is not None:
            return copied(self, value)
        if isinstance(value, tuple) and hasattr(value, "_make"):  # a NamedTuple
            return self._fixed(value, value._make)
        if _holds_state(value):
            return self._record(value)
        return value

    def fill(self) -> None:
        """Give every replica of a module its attributes."""
        while self._unfilled:
            module = self._unfilled.pop()
            # Copied first, in one step of C: another thread may add an attribute meanwhile.
            state = {name: self.of(value) for name, value in module.__dict__.copy().items()}
            # Code that `Module.compile` made calls the original.
            state |= {"training": False, "_compiled_call_impl": None}
            replica = self.of(module)
            replica.__dict__.update(state)
            if self._apart and isinstance(replica, nn.RNNBase):
                replica.flatten_parameters()  # on a GPU they are one piece of memory

    def _keep(self, original: Any, replica: Any) -> Any:
        self._found[id(original)] = (original, replica)
        return replica

    def _module(self, module: nn.Module) -> Any:
        if type(module) in weakref.ProxyTypes:
            return self.of(module.train.__self__)  # type: ignore[attr-defined]
        if isinstance(module, torch.jit.ScriptModule):
            with torch.no_grad():  # its copies would otherwise stand in a graph
                replica: Any = copy.deepcopy(module).eval()
            for parameter in replica.parameters():
                parameter.requires_grad_(False)
            return self._keep(module, replica)
        if type(module).__name__ == "OptimizedModule":  # what torch.compile returns
            return self._keep(module, self.of(module._modules["_orig_mod"]))
        if isinstance(module, nn.parallel.DistributedDataParallel):
            return self._keep(module, self.of(module.module))
        self._unfilled.append(module)
        return self._keep(module, object.__new__(type(module)))

    def _tensor(self, tensor: Tensor) -> Any:
        if not isinstance(tensor, nn.Parameter):
            return self._keep(tensor, tensor.detach().clone())
        values = tensor.detach().clone() if self._apart else tensor.detach()
        still = nn.Parameter(values, requires_grad=False)
        still.__dict__.update(tensor.__dict__)
        return self._keep(tensor, still)

    def _generator(self, generator: torch.Generator) -> Any:
        twin = torch.Generator(device=generator.device)
        return self._keep(generator, twin.set_state(generator.get_state()))

    def _dictionary(self, values: dict[Any, Any]) -> Any:
        twin = self._keep(values, values.copy())
        entries = list(twin.items())
        twin.clear()
        twin.update((self.of(key), self.of(entry)) for key, entry in entries)
        return twin

    def _collection(self, values: Any) -> Any:
        twin = self._keep(values, values.copy())
        entries = list(twin)
        twin.clear()
        add = twin.update if isinstance(twin, set) else twin.extend
        add([self.of(entry) for entry in entries])
        return twin

    def _fixed(self, values: Any, make: Callable[[Any], Any] | None = None) -> Any:
        return (make or type(values))([self.of(entry) for entry in values])

    def _record(self, record: Any) -> Any:
        twin = self._keep(record, copy.copy(record))
        twin.__dict__.update({name: self.of(value) for name, value in vars(record).items()})
        return twin

    def _reference(self, reference: "weakref.ref[Any]") -> Any:
        """A parent pointer, say. Nobody but the replica may hold what it now points to."""
        replica = self.of(reference())
        return reference if replica is reference() else lambda: replica

    def _method(self, method: types.MethodType) -> types.MethodType:
        return types.MethodType(self.of(method.__func__), self.of(method.__self__))

    def _partial(self, partial: "functools.partial[Any]") -> Any:
        keywords = {name: self.of(value) for name, value in partial.keywords.items()}
        return functools.partial(self.of(partial.func), *self._fixed(partial.args), **keywords)

    def _function(self, function: types.FunctionType) -> Any:
        """A hook, or a forward pass put in another's place, with what its closure holds."""
        original = _uncompiled(function)
        if original is not function:
            return self._keep(function, self.of(original))
        if not function.__closure__:
            return function
        cells = tuple(types.CellType() for _ in function.__closure__)
        twin = types.FunctionType(
            function.__code__,
            function.__globals__,
            function.__name__,
            function.__defaults__,
            cells,
        )
        twin.__kwdefaults__ = function.__kwdefaults__
        twin.__dict__.update(function.__dict__)
        self._keep(function, twin)
        for new, old in zip(cells, function.__closure__, strict=True):
            if old != types.CellType():  # an empty cell stays empty
                new.cell_contents = self.of(old.cell_contents)
        return twin


_COPIES: dict[type, Callable[[_Replicas, Any], Any]] = {
    torch.Generator: _Replicas._generator,
    dict: _Replicas._dictionary,
    OrderedDict: _Replicas._dictionary,
    defaultdict: _Replicas._dictionary,
    list: _Replicas._collection,
    deque: _Replicas._collection,
    set: _Replicas._collection,
    tuple: _Replicas._fixed,
    frozenset: _Replicas._fixed,
    types.MethodType: _Replicas._method,
    types.FunctionType: _Replicas._function,
    functools.partial: _Replicas._partial,
    weakref.ref: _Replicas._reference,
    types.SimpleNamespace: _Replicas._record,
}


def _uncompiled(function: Any) -> Any:
    """What torch.compile was given: its wrappers, and no others, are taken off."""
    while isinstance(function, types.FunctionType) and hasattr(function, "__wrapped__"):
        if not function.__globals__["__name__"].startswith("torch._dynamo"):
            break
        function = function.__wrapped__
    return function


def _holds_state(value: Any) -> bool:
    """Whether an object's attributes are its module's own: a dataclass, or what holds a module."""
    if isinstance(value, type | types.ModuleType) or not hasattr(value, "__dict__"):
        return False
    if dataclasses.is_dataclass(value):
        return True
    return any(isinstance(attribute, nn.Module) for attribute in vars(value).values())
