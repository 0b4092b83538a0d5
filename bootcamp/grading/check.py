"""The assertions that graders are written with.

Each says what was called, what was expected, what came and where they first differ, and remembers what came, so
that a known mistake can be recognised by what it does. `why` is for the sentence that teaches.

Expected values come from hand-worked cases, the library, published values or mathematical properties, never from the
reference solution.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from bootcamp.grading.observe import closeness, difference, digest, show, show_both


class Mismatch(AssertionError):
    """The graded code did something else than it should."""

    def __init__(self, message: str, **facts: str) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts  # fields of results.Failure


observed: list[Any] = []  # what the code did in the test that runs now, as digests


def call_text(function: Callable, args: Sequence, kwargs: dict[str, Any]) -> str:
    """Write a call as a learner would.

    >>> call_text(sorted, ([3, 1],), {"reverse": True})
    'sorted([3, 1], reverse=True)'
    """
    name = getattr(function, "__qualname__", None) or type(function).__name__
    parts = [show(arg) for arg in args] + [f"{key}={show(value)}" for key, value in kwargs.items()]
    return f"{name.replace('<locals>.', '')}({', '.join(parts)})"


def equal(got: Any, expected: Any, what: str, *, why: str = "") -> None:
    """Hold `got` to `expected`; `what` says what it is, as a noun or a call."""
    observed.append(digest(got))
    if differs := difference(got, expected):
        if got is None:
            why = "Nothing came back: is a `return` missing?" + (f" {why}" if why else "")
        shown, right = show_both(got, expected)
        differs = differs if len(shown) + len(right) > 40 else ""
        raise Mismatch(f"not right: {what}", expected=right, got=shown, differs=differs, why=why)


def close(got: Any, expected: Any, what: str, *, rtol: float = 1e-5, atol: float = 1e-6, why: str = "") -> None:
    """Hold a number, an array or a tensor to `expected`, up to atol + rtol · |expected|."""
    observed.append(digest(got))
    if differs := closeness(got, expected, rtol, atol):
        shown, right = show_both(got, expected)
        raise Mismatch(f"not right: {what}", expected=right, got=shown, differs=differs, why=why)


def true(condition: bool, claim: str, *, got: Any = "", why: str = "") -> None:
    """Hold the code to `claim`, a sentence that says what should be so."""
    observed.append(bool(condition))
    if not condition:
        raise Mismatch(f"not so: {claim}", got=got if isinstance(got, str) else show(got), why=why)


def returns(expected: Any, function: Callable, *args: Any, why: str = "", **kwargs: Any) -> None:
    """Call `function`, hold what it returns to `expected`, and its arguments to what they were."""
    got = unchanged(function, *args, **kwargs)
    with_call(lambda: equal(got, expected, "what it returns", why=why), call_text(function, args, kwargs))


def unchanged(function: Callable, *args: Any, **kwargs: Any) -> Any:
    """Call `function` and give what it returns, after a look at its arguments: it must not change them."""
    before = copy.deepcopy((args, kwargs))
    with _named(function, before[0], before[1]):
        got = function(*args, **kwargs)
    if differs := difference([*args, *kwargs.values()], [*before[0], *before[1].values()]):
        observed.append("changes its arguments")
        call = call_text(function, before[0], before[1])
        raise Mismatch("the call changes what it was given", call=call, differs=differs)
    return got


def raises(
    kind: type[BaseException] | tuple[type[BaseException], ...],
    function: Callable,
    *args: Any,
    naming: Iterable[Any] = (),
    why: str = "",
    **kwargs: Any,
) -> None:
    """Call `function` and hold it to an error of this kind whose text holds each of `naming`."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    names = " or ".join(each.__name__ for each in kinds)
    call = call_text(function, args, kwargs)
    try:
        with _named(function, args, kwargs):
            got = function(*args, **kwargs)
    except kinds as error:
        if isinstance(error, NotImplementedError) and NotImplementedError not in kinds:
            raise  # a RuntimeError by birth, but what it says is that nothing is written yet
        missing = [str(name) for name in naming if str(name) not in str(error)]
        observed.append(["raises", type(error).__name__, bool(missing)])
        if missing:
            raise Mismatch(
                f"the error does not say {missing[0]!r}", call=call, got=f"{type(error).__name__}: {error}", why=why
            ) from None
        return
    observed.append(["no error", digest(got)])
    raise Mismatch(f"no {names} was raised", call=call, expected=names, got=show(got), why=why)


@contextlib.contextmanager
def _named(function: Callable, args: Sequence, kwargs: dict[str, Any]) -> Iterator[None]:
    """Let an error that a call raises say which call it was."""
    try:
        yield
    except Exception as error:
        error.__dict__.setdefault("call", call_text(function, args, kwargs))
        raise


def with_call(probe: Callable[[], None], call: str) -> None:
    """Run `probe`; if it fails, say that this call led there."""
    try:
        probe()
    except Mismatch as mismatch:
        mismatch.facts.setdefault("call", call)
        raise


def for_all(cases: Iterable[Any], probe: Callable[[Any], None]) -> None:
    """Run `probe` on each case; on a failure, look for the smallest case that fails, and fail with that.

    Strings, byte strings and lists are made smaller piece by piece; other cases are taken as they come, so give
    small ones first.
    """
    for case in cases:
        try:
            probe(case)
        except (NotImplementedError, MemoryError):
            raise
        except Exception as error:
            so_far = list(observed)
            smallest, error = _shrink(case, probe, error)
            observed[:] = so_far
            if isinstance(error, Mismatch):
                error.facts.setdefault("call", f"with {show(smallest)}")
            error.__dict__.setdefault("call", f"with {show(smallest)}")
            raise error from None


def _shrink(case: Any, probe: Callable[[Any], None], error: Exception) -> tuple[Any, Exception]:
    """Take pieces out of `case` for as long as it still fails in the same way (delta debugging)."""
    if type(case) not in (str, bytes, list):
        return case, error
    kind: Any = type(error)
    piece, tries = len(case) // 2, 0
    while piece and tries < 500:
        for start in range(0, len(case), piece):
            smaller = case[:start] + case[start + piece :]
            tries += 1
            try:
                probe(smaller)
            except kind as still:
                case, error = smaller, still
                break
            except Exception:
                continue
        else:
            piece //= 2
    return case, error
