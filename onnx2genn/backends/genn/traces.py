"""What neurons on a device do step by step, read after every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from onnx2genn.backends.base import Watch
from onnx2genn.backends.genn.plan import Neurons

_CODE, _POTENTIAL = "code", "V"

Read = Callable[[Neurons, str], np.ndarray]


class Traces:
    """Collects the trains and potentials of some groups over all windows.

    What a neuron sends in a step is what its code has grown by.

    Args:
        neurons: All groups.
        watch: What is wanted.
        groups: Groups of samples that go through the device.
        batch: Samples of each.
        steps: T.
    """

    def __init__(
        self, neurons: Sequence[Neurons], watch: Watch, groups: int, batch: int, steps: int
    ) -> None:
        self._steps, self._groups = steps, groups
        self._wanted = [
            (item, name)
            for name, names in ((_CODE, watch.spikes), (_POTENTIAL, watch.potentials))
            for item in neurons
            if item.name in names
        ]
        self._values = {
            (item.name, name): np.zeros((steps, groups, batch, item.size), np.float32)
            for item, name in self._wanted
        }

    def keep(self, step: int, read: Read) -> None:
        """Read those that are in the window of a sample in this step."""
        for item, name in self._wanted:
            group, phase = divmod(step - item.start, self._steps)
            if 0 <= group < self._groups:
                self._values[item.name, name][phase, group] = read(item, name)

    def trains(self, count: int) -> dict[str, np.ndarray]:
        """Return what was sent, in units, [T, count, *shape], by the name of the group."""
        return {
            item.name: self._ordered(item, np.diff(self._of(item, name), axis=0, prepend=0), count)
            for item, name in self._wanted
            if name == _CODE
        }

    def potentials(self, count: int) -> dict[str, np.ndarray]:
        """Return the potentials after each step, [T, count, *shape], by the name of the group."""
        return {
            item.name: self._ordered(item, self._of(item, name), count)
            for item, name in self._wanted
            if name == _POTENTIAL
        }

    def _of(self, item: Neurons, name: str) -> np.ndarray:
        return self._values[item.name, name].reshape(self._steps, -1, item.size)

    def _ordered(self, item: Neurons, values: np.ndarray, count: int) -> np.ndarray:
        return np.stack([item.in_onnx_order(part[:count]) for part in values])
