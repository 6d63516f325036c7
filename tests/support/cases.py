"""Many like cases in one test."""

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Any


def in_turn(names: tuple[str, ...], cases: Iterable[Any]) -> Callable[[Callable[..., Awaitable[None]]], Any]:
    """Run a test once with each of these cases in turn: what is refused changes nothing, and a platform takes longer to make.

    As with `pytest.mark.parametrize`, `names` are the test's arguments; with one name a case is its value.  All cases run, and those
    that fail are named.
    """

    def decorate(test: Callable[..., Awaitable[None]]) -> Any:
        @functools.wraps(test)
        async def all_of_them(*instance: Any, **fixtures: Any) -> None:
            failures = []
            for case in cases:
                values = case if len(names) > 1 else (case,)
                try:
                    await test(*instance, **fixtures, **dict(zip(names, values, strict=True)))
                except Exception as error:  # noqa: BLE001 - it is raised again, after the others have run
                    error.add_note(f"case: {case!r:.200}")
                    failures.append(error)
            if failures:
                raise ExceptionGroup(f"{len(failures)} cases", failures)

        signature = inspect.signature(test)
        kept = [parameter for name, parameter in signature.parameters.items() if name not in names]
        all_of_them.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
        return all_of_them

    return decorate
