"""Which relays make a network cheapest, in synaptic operations for each sample."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from onnx2genn.coding import Coding
from onnx2genn.ir.segment import Segment
from onnx2genn.streams.relays import Linear
from onnx2genn.streams.synapses import estimated

# Synaptic operations that take as long as one step of a relay, on a CPU.
_NEURON = 5


def cheapest(linear: Linear, coding: Coding) -> tuple[str, ...]:
    """Choose relays.

    All candidates are taken, and then those given up one after the other without which it is
    cheapest. The cost of a set is that of its synapses, with how often their sources send in a
    window, and of the relays' own neurons.

    Args:
        linear: The affine part of a network.
        coding: Says how often neurons send.
    """
    return _Choice(linear, coding).tensors()


class _Choice:
    def __init__(self, linear: Linear, coding: Coding) -> None:
        self._linear, self._coding = linear, coding
        self._left = dict.fromkeys(linear.candidates)
        self._known: dict[tuple[str, str, frozenset[str]], float] = {}

    def tensors(self) -> tuple[str, ...]:
        """Give up relays while that makes it cheaper; return those that are left."""
        maps = self._all_maps()
        savings = {name: self._saving(name, maps) for name in self._left}
        while savings:
            worst = max(savings, key=savings.__getitem__)
            if savings[worst] <= 0:
                break
            changed = {target for target, parts in maps.items() if _reads(parts, worst)}
            near = changed.union(*(part.sources for name in changed for part in maps[name]))
            near.update(name for part in maps.pop(worst) for name in part.sources)
            del self._left[worst], savings[worst]
            maps |= {target: self._maps(target, self._left) for target in changed}
            for name in near.intersection(self._left):
                savings[name] = self._saving(name, maps)
        return tuple(self._left)

    def _all_maps(self) -> dict[str, tuple[Segment, ...]]:
        targets = [name for name in self._linear.maps if name not in self._linear.pools]
        return {name: self._maps(name, self._left) for name in [*targets, *self._left]}

    def _maps(self, target: str, relays: Iterable[str]) -> tuple[Segment, ...]:
        if target in self._left:
            return (self._linear.segment(target, set(relays)),)
        return self._linear.cut(target, set(relays))

    def _saving(self, tensor: str, maps: dict[str, tuple[Segment, ...]]) -> float:
        """Return what is saved without a relay: its neurons, and its synapses for direct ones."""
        others = self._left.keys() - {tensor}
        (own,) = maps[tensor]
        saved = _NEURON * self._coding.steps * np.prod(own.shape) + self._cost(tensor, (own,))
        for target, parts in maps.items():
            if _reads(parts, tensor):
                saved += self._cost(target, parts) - self._cost(target, self._maps(target, others))
        return float(saved)

    def _cost(self, target: str, parts: tuple[Segment, ...]) -> float:
        copies = self._linear.copies.get(target, (1,) * len(parts))
        return sum(
            times * self._sends(source) * self._synapses(target, part, source)
            for times, part in zip(copies, parts, strict=True)
            for source in part.sources
        )

    def _sends(self, source: str) -> float:
        """Return how often a source sends in a window; what enters as a current does not."""
        if source in self._linear.spiking:
            return self._coding.expected_spikes
        if source not in self._left:
            return 0.0
        return self._coding.steps if self._linear.sends_at_once(source) else 1

    def _synapses(self, target: str, part: Segment, source: str) -> float:
        if not self._sends(source):
            return 0.0
        way = _between(part, source)
        key = (f"{target}/{part.target}", source, frozenset(way))
        if key not in self._known:
            self._known[key] = estimated(part, source)
        return self._known[key]


def _reads(parts: Iterable[Segment], tensor: str) -> bool:
    return any(tensor in part.sources for part in parts)


def _between(segment: Segment, source: str) -> set[str]:
    """Return the tensors on the ways from a source."""
    reached = {source}
    for node in segment.nodes:
        if not reached.isdisjoint(node.inputs):
            reached.update(node.outputs)
    return reached
