"""Convolutions as data, and as matrices of neurons."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from onnx2genn.ir.graph import Shape


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """A cross-correlation from all channels of a source to some channels of a target::

        y[first + o, p] = sum over i, k of kernel[o, i, k] x[g i' + i, s p + d k - pad]

    Attributes:
        kernel: [O, I / group, *K].
        strides: s of each spatial axis.
        dilations: d of each spatial axis.
        pads: Zeros before the first element of each spatial axis.
        group: Groups of channels that do not mix.
        source: Shape [I, *spatial] of the source.
        target: Shape [C, *spatial] of the target, C >= first + O.
        first: Channel of the target that the first output channel goes to.
    """

    kernel: np.ndarray
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]
    group: int
    source: Shape
    target: Shape
    first: int = 0

    @property
    def depthwise(self) -> bool:
        """Whether every channel is mapped to itself alone."""
        return self.group == len(self.kernel) == self.source[0]

    @property
    def inputs(self) -> np.ndarray:
        """Input channel of every weight, [O, I / group]."""
        outputs, fan_in = self.kernel.shape[:2]
        return np.arange(fan_in) + fan_in * (np.arange(outputs) // (outputs // self.group))[:, None]

    def in_planes(self) -> Convolution:
        """Return the same map over two spatial axes."""
        if len(self.pads) != 1:
            return self
        return replace(
            self,
            kernel=self.kernel[:, :, None],
            strides=(1, *self.strides),
            dilations=(1, *self.dilations),
            pads=(0, *self.pads),
            source=(self.source[0], 1, self.source[1]),
            target=(self.target[0], 1, self.target[1]),
        )


def sparse_matrix(item: Convolution) -> sparse.csr_array:
    """Write a convolution over two axes as a matrix of neurons, float32 [source, target].

    Neurons have the channel as their fastest axis.
    """
    (channels, height, width), (total, *targets) = item.source, item.target
    outputs = item.first + np.arange(len(item.kernel))[:, None]
    kernel = np.moveaxis(item.kernel, (0, 1), (-2, -1)).astype(np.float32)
    entries = []
    for tap in np.ndindex(kernel.shape[:-2]):
        row, read_row = _reached(item, 0, tap[0], height, targets[0])
        column, read_column = _reached(item, 1, tap[1], width, targets[1])
        read = (read_row[:, None] * width + read_column).reshape(-1, 1, 1) * channels
        written = (row[:, None] * targets[1] + column).reshape(-1, 1, 1) * total
        entries.append(np.broadcast_arrays(kernel[tap], read + item.inputs, written + outputs))
    values, rows, columns = (
        np.concatenate([part.ravel() for part in parts]) for parts in zip(*entries, strict=True)
    )
    shape = (int(np.prod(item.source)), int(np.prod(item.target)))
    return sparse.coo_array((values, (rows, columns)), shape=shape).tocsr()


def _reached(
    item: Convolution, axis: int, tap: int, size: int, targets: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the targets along an axis to which a tap leads, and the sources that they read."""
    at = np.arange(targets)
    source = at * item.strides[axis] + tap * item.dilations[axis] - item.pads[axis]
    inside = (source >= 0) & (source < size)
    return at[inside], source[inside]


def identity(shape: Shape) -> Convolution:
    """Return the identity of a shape [channels, *spatial]."""
    rank = len(shape) - 1
    return Convolution(
        kernel=np.ones((shape[0], 1, *[1] * rank)),
        strides=(1,) * rank,
        dilations=(1,) * rank,
        pads=(0,) * rank,
        group=shape[0],
        source=shape,
        target=shape,
    )
