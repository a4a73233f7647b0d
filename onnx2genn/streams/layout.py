"""The relays of a network, what is left of its segments behind them, and when all is sent."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from onnx2genn.coding import Coding
from onnx2genn.errors import BackendError
from onnx2genn.ir.partition import Partition
from onnx2genn.ir.segment import Segment
from onnx2genn.streams import ALL, AUTO, NONE
from onnx2genn.streams.choice import cheapest
from onnx2genn.streams.relays import Linear, Relay
from onnx2genn.streams.timing import Timing

_MOST_NAMED = 8


@dataclass(frozen=True, kw_only=True)
class Streams:
    """What is sent from where to where, and when.

    Attributes:
        relays: Relays by the tensor that each stands at.
        maps: By the tensor of each population, and for the readout, the maps by which its neurons
            hear populations and relays, as :attr:`Linear.maps`.
        copies: As :attr:`Linear.copies`.
        timing: When what is sent arrives.
    """

    relays: Mapping[str, Relay]
    maps: Mapping[str, tuple[Segment, ...]]
    copies: Mapping[str, tuple[int, ...]]
    timing: Timing


def make_streams(parts: Partition, coding: Coding, relays: str | Collection[str] = AUTO) -> Streams:
    """Place relays in a network.

    Args:
        parts: The network, cut at its populations.
        coding: Its coding.
        relays: ``auto`` for those that make it cheapest, ``none``, ``all`` for one wherever streams
            part, meet or are of another size than what they come from; or the tensors themselves.

    Raises:
        BackendError: There is no such choice, or no relay may stand at a tensor.
    """
    linear = Linear(parts, coding)
    tensors: Collection[str] = ()
    if not isinstance(relays, str):
        tensors = _known(relays, linear.candidates)
    elif relays == AUTO:
        tensors = cheapest(linear, coding)
    elif relays == ALL:
        tensors = linear.candidates
    elif relays != NONE:
        raise BackendError(f"relays={relays!r}: choose {AUTO}, {NONE} or {ALL}.")
    found = linear.relays(tensors)
    return Streams(
        relays={item.tensor: item for item in found},
        maps={name: linear.cut(name, tensors) for name in linear.maps},
        copies=linear.copies,
        timing=Timing(parts, coding, linear, found),
    )


def _known(tensors: Collection[str], candidates: Collection[str]) -> Collection[str]:
    """Refuse tensors at which no relay may stand, or at which it would spare nothing."""
    unknown = sorted(map(repr, set(tensors) - set(candidates)))
    if unknown:
        named = [*map(repr, candidates)]
        more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
        places = f"at {', '.join(named[:_MOST_NAMED])}{more}" if named else "nowhere"
        raise BackendError(
            f"No relay can stand at {', '.join(unknown)}, but {places}: at sums, and at tensors of "
            "another size than what they come from, where it spares synapses."
        )
    return tensors
