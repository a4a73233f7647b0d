"""What comes before a network: computed by onnxruntime when samples are prepared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import onnx
from onnx import helper

from onnx2genn.errors import DataError, UnsupportedModelError
from onnx2genn.ir.graph import Shape
from onnx2genn.ir.run import Runner

_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class Front:
    """Looks up, or computes, what a network takes for its inputs.

    Attributes:
        model: Operators of the file, from inputs of the file to inputs of the network.
        entries: Inputs of the file with their shapes, batch axis left out; those that ``model``
            does not have are inputs of the network, too.
        batch: Batch size that the file is fixed to; None if it is open.
    """

    model: onnx.ModelProto
    entries: Mapping[str, Shape]
    batch: int | None = None

    def of(self, order: Iterable[str], entries: Mapping[str, Shape]) -> Front:
        """Take those inputs of the network that are the file's, too.

        Args:
            order: Inputs of the file.
            entries: Inputs of the network with their shapes.
        """
        known = {**entries, **self.entries}
        return replace(self, entries={name: known[name] for name in order if name in known})

    @cached_property
    def _runner(self) -> Runner:
        return Runner(self.model)

    @cached_property
    def _types(self) -> dict[str, np.dtype]:
        return {
            info.name: helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
            for info in self.model.graph.input
        }

    def __call__(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the inputs of the network [N, ...] by name.

        Args:
            arrays: Samples [N, ...] of each input of the file.

        Raises:
            DataError: They cannot be looked up.
        """
        count = len(next(iter(arrays.values())))
        at_once = self.batch or _AT_ONCE
        missing = -count % self.batch if self.batch else 0
        feeds = {}
        for name, dtype in self._types.items():
            typed = arrays[name].astype(dtype)
            if dtype.kind in "iu" and not np.array_equal(typed, arrays[name]):
                raise DataError(
                    f"The input {name!r} takes whole numbers, and these have fractions."
                )
            feeds[name] = np.concatenate([typed, typed[:1].repeat(missing, axis=0)])
        try:
            parts = list(self._runner.batches(feeds, at_once))
        except UnsupportedModelError as error:
            raise DataError(
                f"What comes before the network cannot be computed of this data: {error}"
            ) from error
        found = {
            name: np.concatenate([part[name] for part in parts])[:count]
            for name in self._runner.outputs
        }
        return {**{name: arrays[name] for name in arrays.keys() - self._types.keys()}, **found}
