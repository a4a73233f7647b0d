"""When what is sent arrives: at each population after those before it and relays on the way."""

from __future__ import annotations

from collections.abc import Iterable

from onnx2genn.coding import Coding
from onnx2genn.ir.partition import Partition
from onnx2genn.streams.relays import READOUT, Linear, Relay


class Timing:
    """The first steps in which something arrives, and in which something may be sent.

    A relay sends the sum of a step in that step, or that of a window in its last step. Either way
    it arrives one step later within the window of its target than it came, and targets begin as
    late as the last of their sources needs.

    Args:
        parts: The network, cut at its populations.
        coding: Its coding.
        linear: Its affine part.
        relays: Relays in that.

    Attributes:
        arrivals: First step of the window of input, by the tensor of populations and relays and
            for the readout, in topological order.
        sends: First step of the window of what is sent, by the same tensors, and for spikes that
            enter.
    """

    def __init__(
        self, parts: Partition, coding: Coding, linear: Linear, relays: Iterable[Relay]
    ) -> None:
        self._coding, self._linear = coding, linear
        self._relays = {item.tensor: item for item in relays}
        self.arrivals: dict[str, int] = {}
        self.sends: dict[str, int] = {}
        if coding.spiking_input:
            self.sends = dict.fromkeys(parts.inputs, coding.window_start(-1))
        for item in parts.populations:
            self._place_target(item.tensor, item.depth)
            if coding.accumulates:
                continue
            if item.pools:  # passes on what arrives
                self.sends[item.tensor] = self.arrivals[item.tensor]
            elif item.is_function:  # of the mean of a window
                self.sends[item.tensor] = self.arrivals[item.tensor] + coding.steps
        self._place_target(READOUT, parts.depth)

    def _place_target(self, tensor: str, depth: int) -> None:
        maps = self._linear.cut(tensor, self._relays)
        arrival = self._arrival(depth, [name for part in maps for name in part.sources])
        waiting = self._coding.window_start(depth) - self._coding.input_start(depth)
        self.arrivals[tensor], self.sends[tensor] = arrival, arrival + waiting

    def _arrival(self, depth: int, sources: Iterable[str]) -> int:
        """Return when the last of some sources arrives, and place relays among them."""
        first = self._coding.input_start(depth)
        for name in sources:
            relay = self._relays.get(name)
            if relay is not None and name not in self.sends:
                arrival = self._arrival(relay.depth, relay.segment.sources)
                self.arrivals[name] = self.sends[name] = arrival
            if name in self.sends:
                first = max(first, self.sends[name] + 1)
        return first
