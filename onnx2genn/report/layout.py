"""Places of boxes and of the ways between them in a picture, in layers from the input down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

WIDTH, HEIGHT = 208, 54
_GAP_ACROSS, _GAP_DOWN, _MARGIN = 20, 34, 8
_BEND = 12


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A picture.

    Attributes:
        width: In pixels.
        height: In pixels.
        boxes: Upper left corner of each box by name.
        lines: Each projection as (source, target, path in the syntax of SVG).
    """

    width: int
    height: int
    boxes: dict[str, tuple[int, int]]
    lines: list[tuple[str, str, str]]


class Way(Protocol):
    """What a box reads."""

    @property
    def target(self) -> str:
        """Name of the box."""
        ...

    @property
    def sources(self) -> list[str]:
        """Names of the boxes that it reads."""
        ...


def layout(inputs: Iterable[str], ways: Sequence[Way]) -> Layout:
    """Place boxes in layers by depth, as inputs, populations and the readout.

    What a source sends over several layers gets a place in each of them, to pass between boxes.
    Each layer is sorted by the mean place of what its members are connected with above.

    Args:
        inputs: Boxes that read nothing.
        ways: What each other box reads, in an order in which sources come first.
    """
    depths: dict[str, int] = dict.fromkeys(inputs, 0)
    for item in ways:
        above = [depths.setdefault(source, 0) for source in item.sources]
        depths[item.target] = 1 + max(above, default=0)
    layers: list[list[str]] = [[] for _ in range(1 + max(depths.values(), default=0))]
    for name, depth in depths.items():
        layers[depth].append(name)
    chains = _chains(ways, depths, layers)
    above_of: dict[str, list[str]] = {}
    for chain in chains:
        for upper, lower in pairwise(chain):
            above_of.setdefault(lower, []).append(upper)
    order = _sorted(layers, above_of)
    width = 2 * _MARGIN + max(_wide(layer, depths) for layer in order)
    places = {}
    for depth, layer in enumerate(order):
        left = (width - _wide(layer, depths)) // 2
        for name in layer:
            places[name] = (left, _MARGIN + depth * (HEIGHT + _GAP_DOWN))
            left += _size(name, depths) + _GAP_ACROSS
    height = 2 * _MARGIN + len(order) * (HEIGHT + _GAP_DOWN) - _GAP_DOWN
    lines = [(chain[0], chain[-1], _path(chain, places, depths)) for chain in chains]
    boxes = {name: place for name, place in places.items() if name in depths}
    return Layout(width=width, height=height, boxes=boxes, lines=lines)


def _chains(
    ways: Sequence[Way], depths: Mapping[str, int], layers: list[list[str]]
) -> list[list[str]]:
    """List the way of each projection from layer to layer; add its places between to the layers."""
    chains: list[list[str]] = []
    for item in ways:
        for source in item.sources:
            between = range(depths[source] + 1, depths[item.target])
            # No ONNX name has a NUL, so that no box is called like this.
            places = [f"\0{source}\0{depth}" for depth in between]
            for depth, place in zip(between, places, strict=True):
                if place not in layers[depth]:
                    layers[depth].append(place)
            chains.append([source, *places, item.target])
    return chains


def _sorted(layers: list[list[str]], above_of: Mapping[str, list[str]]) -> list[list[str]]:
    found = layers[:1]
    for layer in layers[1:]:
        place = {name: index / len(found[-1]) for index, name in enumerate(found[-1])}

        def mean(name: str, place: Mapping[str, float] = place) -> float:
            known = [place[item] for item in above_of.get(name, []) if item in place]
            return sum(known) / len(known) if known else 0.0

        found.append(sorted(layer, key=mean))
    return found


def _size(name: str, depths: Mapping[str, int]) -> int:
    return WIDTH if name in depths else _BEND


def _wide(layer: list[str], depths: Mapping[str, int]) -> int:
    return sum(_size(name, depths) + _GAP_ACROSS for name in layer) - _GAP_ACROSS


def _path(
    chain: list[str], places: Mapping[str, tuple[int, int]], depths: Mapping[str, int]
) -> str:
    points = []
    for index, name in enumerate(chain):
        left, top = places[name]
        middle = left + _size(name, depths) // 2
        if index:
            points.append((middle, top))
        if index < len(chain) - 1:
            points.append((middle, top + HEIGHT))
    (x, y), path = points[0], f"M{points[0][0]} {points[0][1]}"
    for upper, lower in zip(points[1::2], [*points[2::2], None], strict=False):
        half = (y + upper[1]) // 2
        path += f"C{x} {half} {upper[0]} {half} {upper[0]} {upper[1]}"
        if lower is not None:
            path += f"V{lower[1]}"
            x, y = lower
    return path
