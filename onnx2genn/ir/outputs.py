"""The outputs of a network, as parts of the one readout that backends know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from onnx2genn.ir.graph import Node, Shape


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """One output of the model.

    Attributes:
        name: Its name in the model.
        shape: Shape of its logits without the batch axis: of what is before the heads.
        heads: The nodes that were taken off after its logits, in their order.
    """

    name: str
    shape: Shape
    heads: tuple[Node, ...] = ()

    @property
    def size(self) -> int:
        """Number of elements of its logits."""
        return int(np.prod(self.shape))


def separate_outputs(outputs: Sequence[Output], joined: np.ndarray) -> dict[str, np.ndarray]:
    """Return the logits [N, *shape] of each output by name.

    Args:
        outputs: The outputs, in the order in which they lie side by side.
        joined: The readout [N, ...] of the network.
    """
    ends = np.cumsum([item.size for item in outputs])
    parts = np.split(joined.reshape(len(joined), -1), ends[:-1], axis=1)
    return {
        item.name: part.reshape(-1, *item.shape) for item, part in zip(outputs, parts, strict=True)
    }
