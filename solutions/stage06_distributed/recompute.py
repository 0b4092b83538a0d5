"""6.9 · Recomputation: forget what forward has made on its way, and make it again when backward needs it.

Chen et al.: Training Deep Nets with Sublinear Memory Cost (2016).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks


def as_it_was(devices: list[int]) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """Note now how random numbers are drawn and what autocast does; give a region in which it is so again. (Given.)

    Behind that region, torch's generators go on as if it had not been.

    >>> again = as_it_was([])
    >>> first = torch.rand(3)
    >>> with again():
    ...     print(torch.equal(first, torch.rand(3)))
    True
    """
    states = torch.get_rng_state(), [torch.cuda.get_rng_state(device) for device in devices]
    casts = [(kind, torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind)) for kind in ("cpu", "cuda")]

    @contextlib.contextmanager
    def again() -> Iterator[None]:
        with torch.random.fork_rng(devices=devices), contextlib.ExitStack() as regions:
            torch.set_rng_state(states[0])
            for device, state in zip(devices, states[1]):
                torch.cuda.set_rng_state(state, device)
            for kind, dtype, enabled in casts:
                regions.enter_context(torch.autocast(kind, dtype, enabled))
            yield

    return again


def checkpoint(function: Callable[..., Any], *args: Any) -> Any:
    """Give function(*args), and keep nothing for backward but the arguments: what is needed is computed again there.

    Autograd saves tensors on the way forward, to use them backward. Here it saves numbers in their place, in the order
    in which they come; when backward asks for the first, the function runs again, and what is saved in that run, by the
    same numbers, serves until it is used up. So the graph is one, and `torch.autograd.grad` goes through it too.

    A block of stage 04 saves 17 B·T·C numbers on its way, and B·H·T² weights of attention; it takes B·T·C. With each
    block in a `checkpoint`, memory holds what goes into each, and the inside of one; the price is one more forward.

    The second time, the same must come, so random numbers are drawn from the same states of torch's generators (of the
    CPU, and of the CUDA devices that arguments lie on), in the same region of autocast; afterwards the generators are
    as they were before backward. The function may have checkpoints within; the arguments of these are kept as well.

    Args:
        function: such as a module; tensors that it uses besides its arguments, its weights, get their gradients.
        args: tensors, with gradients or without, and anything else.

    Returns:
        What the function gives: a tensor, or a tuple of tensors and other things.

    >>> x = torch.tensor([3.0], requires_grad=True)
    >>> checkpoint(lambda x: x * x, x).backward()
    >>> x.grad
    tensor([6.])
    """
    # BEGIN SOLUTION 6.9: hooks for what autograd would save: a number goes in its place; the first asked for makes all
    devices = sorted({each.device.index for each in args if isinstance(each, Tensor) and each.is_cuda})
    saved: dict[int, Tensor] = {}  # by number, what the second forward has made and backward not yet used
    count = 0

    def number(_: Tensor) -> int:
        nonlocal count
        count += 1
        return count - 1

    def made_again(place: int) -> Tensor:
        if place not in saved:
            saved.clear()
            with again(), torch.enable_grad(), saved_tensors_hooks(keep, lambda kept: kept):
                function(*args)
        return saved.pop(place)

    def keep(tensor: Tensor) -> None:  # nothing goes into the second graph: nobody goes backward through that one
        saved[len(saved)] = tensor.detach()

    again = as_it_was(devices)
    with saved_tensors_hooks(number, made_again):
        return function(*args)
    # END SOLUTION
