"""What is added up over parts of the samples, wherever each part is computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

SEPARATOR = "/"


class Sums:
    """An object whose attributes add up: those of two parts make those of both together.

    Numbers and arrays are summed, truths hold while both do, lists and dictionaries add up element
    by element, and so do attributes that are sums themselves. Anything else is the same in all
    parts.
    """

    def merge(self, other: Any) -> None:
        """Add what another part gave, of the samples right after those of this one."""
        for name, value in vars(other).items():
            setattr(self, name, _merged(getattr(self, name), value))

    def state(self, prefix: str = "") -> dict[str, np.ndarray]:
        """Return all sums as arrays by name, from which :meth:`restore` makes them again."""
        return {name: np.asarray(value) for name, _, _, value in _leaves(self, prefix)}

    def restore(self, state: Mapping[str, np.ndarray], prefix: str = "") -> None:
        """Take the sums of a state.

        Args:
            state: As :meth:`state` returned it, of sums of the same things.
            prefix: As it was given there.

        Raises:
            LookupError: The state lacks some.
            ValueError: An array has another shape.
        """
        for name, owner, key, value in list(_leaves(self, prefix)):
            found = state[name]
            if found.shape != np.shape(value):
                raise ValueError(f"{name} has shape {found.shape} instead of {np.shape(value)}")
            plain = found if isinstance(value, np.ndarray) else type(value)(found.item())
            if isinstance(owner, dict | list):
                owner[key] = plain
            else:
                setattr(owner, key, plain)


def _merged(a: Any, b: Any) -> Any:
    if isinstance(a, bool):
        return a and b
    if isinstance(a, int | float | np.ndarray):
        return a + b
    if isinstance(a, dict):
        return {key: _merged(value, b[key]) for key, value in a.items()}
    if isinstance(a, list):
        return [_merged(x, y) for x, y in zip(a, b, strict=True)]
    if isinstance(a, Sums):
        a.merge(b)
    return a


def _leaves(owner: Any, prefix: str) -> Iterator[tuple[str, Any, Any, Any]]:
    """Yield name, owner, key and value of every number and array."""
    if isinstance(owner, dict):
        items = list(owner.items())
    elif isinstance(owner, list):
        items = list(enumerate(owner))
    else:
        items = list(vars(owner).items())
    for key, value in items:
        name = f"{prefix}{SEPARATOR}{key}" if prefix else str(key)
        if isinstance(value, bool | int | float | np.ndarray):
            yield name, owner, key, value
        elif isinstance(value, dict | list | Sums):
            yield from _leaves(value, name)
