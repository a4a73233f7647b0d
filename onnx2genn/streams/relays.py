"""Relays: neurons that sum up within the affine part of a network, for all that read their sum.

A segment composes all operators between its sources and its target. Where streams part and meet,
as in residual networks, or go through a narrow tensor, as linear bottlenecks do, that has more
synapses than its operators have. A relay stands at a tensor on the way: it sends what its sources
sum up to there, in the units of the ANN, and has no constant part: that of a target stays the value
of its whole segment where nothing arrives.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from onnx2genn.coding import Coding
from onnx2genn.ir.graph import Node, Shape, live
from onnx2genn.ir.matrices import copies
from onnx2genn.ir.partition import Partition
from onnx2genn.ir.segment import Segment

ONE_TO_ONE = frozenset(
    {"Add", "Concat", "Identity", "Mul", "Pad", "Reshape", "Slice", "Sub", "Transpose"}
)
"""Operators in which an element of an input goes to one of the output at most."""
# Those of them in which it does though the output is larger.
_GROWING = frozenset({"Concat", "Pad"})

READOUT = ""
"""Stands for the readout in place of a tensor, since it may be one of a population, too."""


@dataclass(frozen=True, kw_only=True)
class Relay:
    """Neurons that take the place of a tensor between populations.

    Attributes:
        name: Unique name, a C identifier; those of populations do not end with an underscore.
        segment: Map from populations and from other relays to its tensor, in units of the ANN.
        depth: Populations before it on the longest way from the input.
        at_once: Whether it sends the sum of every step in that step; else it sends that of a window
            in its last step.
    """

    name: str
    segment: Segment
    depth: int
    at_once: bool

    @property
    def tensor(self) -> str:
        """ONNX tensor whose values it sends, but for their constant part."""
        return self.segment.target

    @property
    def shape(self) -> Shape:
        """Shape without the batch axis."""
        return self.segment.shape


def cut_off(segment: Segment, relays: Collection[str]) -> Segment:
    """Return what is left of a segment behind relays, which become its sources.

    Args:
        segment: Affine map.
        relays: Tensors of relays, of which its target may be one that is read as it is.
    """
    producers = {node.output: node for node in segment.nodes}
    return _walked(segment, segment.target, producers, relays)


def leading_to(segment: Segment, tensor: str, relays: Collection[str]) -> Segment:
    """Return the map to a tensor on the way of a segment, from its sources and from relays."""
    producers = {node.output: node for node in segment.nodes}
    return _walked(segment, tensor, producers, set(relays) - {tensor})


def _walked(
    segment: Segment, target: str, producers: dict[str, Node], relays: Collection[str]
) -> Segment:
    stops = {*segment.sources, *relays}
    nodes = [node for node in segment.nodes if node.output not in stops]
    kept, used = live(nodes, segment.constants, [target] if target not in stops else [])
    read = {target, *(name for node in kept for name in node.inputs)}
    passed = [name for name in producers if name in read and name in stops]
    sources = [name for name in segment.sources if name in read] + passed
    return replace(
        segment, sources=tuple(sources), target=target, nodes=tuple(kept), constants=used
    )


class Linear:
    """The affine part of a network: all operators between its populations.

    What the readout has after each step of a window is an answer, too. So it hears only relays that
    send at once: those from which all ways lead to it alone.

    Args:
        parts: The network, cut at its populations.
        coding: Its coding.

    Attributes:
        maps: By the tensor of each population, and for :data:`READOUT`, the maps by which its
            neurons hear others, one for each port. That of a max pooling only moves.
        copies: By the same, how many neurons hear each element, where that is not one: of matrices,
            as many as there are products that it is a factor of.
        spiking: Tensors that are sent as spikes.
        depths: Populations before each source on the longest way, -1 for an input.
        candidates: Tensors that a relay may stand at with some gain, in topological order.
    """

    def __init__(self, parts: Partition, coding: Coding) -> None:
        self.maps = {item.tensor: item.port_segments for item in parts.populations}
        multiplying = [item for item in parts.populations if item.multiplies]
        self.copies = {item.tensor: copies(item) for item in multiplying}
        self.maps[READOUT] = (parts.readout,)
        self.depths = dict.fromkeys(parts.inputs, -1)
        self.depths |= {item.tensor: item.depth for item in parts.populations}
        self.spiking = {item.tensor for item in parts.populations}.union(
            parts.inputs if coding.spiking_input else ()
        )
        self._accumulates = coding.accumulates
        self.pools = {item.tensor for item in parts.populations if item.pools}
        self._names = {item.name for item in parts.populations}
        self._home: dict[str, Segment] = {}
        self._nodes: dict[str, Node] = {}
        for _, segment in self._targets:
            for node in segment.nodes:
                self._nodes.setdefault(node.output, node)
                self._home.setdefault(node.output, segment)
        hidden = {
            node.output for name, part in self._targets if name != READOUT for node in part.nodes
        }
        self._before_readout = self._nodes.keys() - hidden
        self.candidates = self._candidates()

    @property
    def _targets(self) -> list[tuple[str, Segment]]:
        """Maps that relays may be part of, with what they lead to."""
        found = [(name, part) for name, parts in self.maps.items() for part in parts]
        return [(name, part) for name, part in found if name not in self.pools]

    def cut(self, tensor: str, relays: Collection[str]) -> tuple[Segment, ...]:
        """Return what is left of the maps to a population or to the readout behind relays."""
        if tensor in self.pools:
            return self.maps[tensor]
        if tensor == READOUT:
            relays = self._before_readout.intersection(relays)
        return tuple(cut_off(part, relays) for part in self.maps[tensor])

    def segment(self, tensor: str, relays: Collection[str]) -> Segment:
        """Return the map to a tensor from populations and from relays ahead of it."""
        if tensor in self._before_readout:
            relays = self._before_readout.intersection(relays)
        return leading_to(self._home[tensor], tensor, relays)

    def sends_at_once(self, tensor: str) -> bool:
        """Whether a relay at a tensor sends the sum of every step in that step."""
        return not self._accumulates or tensor in self._before_readout

    def relays(self, tensors: Collection[str]) -> tuple[Relay, ...]:
        """Return relays at some of the candidates."""
        found, taken = [], set(self._names)
        for tensor in self.candidates:
            if tensor in tensors:
                whole = self.segment(tensor, ())
                depth = 1 + max(self.depths[name] for name in whole.sources)
                name = _identifier(tensor, taken)
                segment = self.segment(tensor, tensors)
                at_once = self.sends_at_once(tensor)
                found.append(Relay(name=name, segment=segment, depth=depth, at_once=at_once))
        return tuple(found)

    def _candidates(self) -> tuple[str, ...]:
        readers = Counter(
            name for node in self._nodes.values() for name in dict.fromkeys(node.inputs)
        )
        readers.update(segment.target for _, segment in self._targets)
        reached, found = set(self.spiking), []
        for name, node in self._nodes.items():
            arriving = reached.intersection(node.inputs)
            if not arriving:
                continue
            reached.add(name)
            shapes = self._home[name].shapes
            if name in shapes and not (len(arriving) == 1 and keeps_elements(node, shapes)):
                found.append(name)
        ends = self._ends(readers)
        return tuple(name for name in found if name not in ends)

    def _ends(self, readers: Counter[str]) -> set[str]:
        """Find the tensors that reach one target alone, as they are or scaled and shifted."""
        targets = Counter(segment.target for _, segment in self._targets)
        repeated = {part.target for name in self.copies for part in self.maps[name]}
        found = {name for name, count in targets.items() if count == 1 == readers[name]} - repeated
        for name, node in reversed(self._nodes.items()):
            if name in found and keeps_elements(node, self._home[name].shapes):
                found.update(item for item in node.inputs if readers[item] == 1)
        return found


def keeps_elements(node: Node, shapes: Mapping[str, Shape]) -> bool:
    """Whether each element of what a node reads goes to one element of its output."""
    if node.op not in ONE_TO_ONE:
        return False
    sizes = [np.prod(shapes[name]) for name in node.inputs if name in shapes]
    output = np.prod(shapes.get(node.output, (0,)))
    return node.op in _GROWING or all(size == output for size in sizes)


def _identifier(tensor: str, taken: set[str]) -> str:
    """Make a unique C identifier from the name of a tensor."""
    base = re.sub(r"\W+", "_", tensor, flags=re.ASCII).strip("_") or "sum"
    base = f"sum_{base}" if base[0].isdigit() else base
    name, index = f"{base}_relay_", 1
    while name in taken:
        index += 1
        name = f"{base}_{index}_relay_"
    taken.add(name)
    return name
