"""Digits of populations: which of them have fewer than the window has steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onnx2genn.coding import Coding
from onnx2genn.coding.options import checked
from onnx2genn.errors import CodingError
from onnx2genn.ir.partition import Population


def of_all(
    populations: Sequence[Population], coding: Coding, wanted: Mapping[str, int]
) -> dict[str, int]:
    """Give populations fewer digits; those that max poolings take together have the same.

    Args:
        populations: All of a network, in topological order.
        coding: Their coding.
        wanted: Digits of some of them, by the names of the populations or of their ONNX nodes.

    Returns:
        Digits by the name of each population that has fewer than T.

    Raises:
        CodingError: There is no such population, it cannot have so many digits, or others do that
            go into the same max pooling.
    """
    known = {key: item for item in populations for key in (item.node.name, item.name)}
    groups = {name: group for group in together(populations) for name in group}
    found: dict[str, int] = {}
    for name, digits in wanted.items():
        if name not in known:
            nodes = ", ".join(item.node.name or item.name for item in populations)
            raise CodingError(f"There is no population {name!r} for digits. There are {nodes}.")
        digits = checked(f"digits of {name!r}", digits, int)
        try:
            coding.with_digits(digits)
        except CodingError as error:
            raise CodingError(f"digits of {name!r}: {error}") from None
        for member in groups[known[name].name]:
            if found.setdefault(member, digits) != digits:
                raise CodingError(
                    f"Populations that go into one max pooling, {', '.join(groups[member])}, need "
                    f"the same digits, not {found[member]} and {digits}."
                )
    return {name: digits for name, digits in found.items() if digits < coding.steps}


def together(populations: Sequence[Population]) -> list[tuple[str, ...]]:
    """Return the names of populations, in groups that max poolings join."""
    group: dict[str, list[str]] = {}
    for item in populations:
        joined = [group[name] for name in item.segment.sources] if item.pools else []
        merged = [*dict.fromkeys(name for names in joined for name in names), item.tensor]
        group.update(dict.fromkeys(merged, merged))
    names = {item.tensor: item.name for item in populations}
    distinct = {id(members): members for members in group.values()}
    return [tuple(names[tensor] for tensor in members) for members in distinct.values()]
