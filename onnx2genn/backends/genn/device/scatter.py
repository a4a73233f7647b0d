"""Projections as custom updates that add to their targets: fast on one CPU thread, only there.

GeNN's synapse groups go through lists of spikes with an index computed for every synapse. Here a
custom update looks at every source neuron, and for one that fired adds rows of weights that lie
side by side to a buffer of the target, which compilers turn into vector instructions. Neighbouring
source neurons add to the same targets: on a GPU, where they run at the same time, they would race.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnx2genn.backends.genn.device.neurons import ARRIVING, arriving
from onnx2genn.backends.genn.lowering.convolution import Convolution
from onnx2genn.backends.genn.lowering.projection import Dense, Linear, Sparse
from onnx2genn.backends.genn.plan import Neurons, Projection

GROUP = "Scatter"


@dataclass(frozen=True, kw_only=True)
class Scatter:
    """What one source neuron does to its target.

    Attributes:
        code: Statements that add ``weights`` to ``target`` for source neuron ``id``, with ``S``
            as a factor if spikes are graded.
        arrays: Arrays that the code reads, by name.
    """

    code: str
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


class ScatterUpdates:
    """Connects groups of neurons by custom updates, run before every step."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def connect(self, projection: Projection, source: Neurons, target: Neurons) -> str:
        """Add a projection; return what of it is compiled.

        Args:
            projection: Weights and delay.
            source: Where spikes come from.
            target: Where they go to.
        """
        from pygenn import (
            CustomUpdateVarAccess,
            VarAccessMode,
            create_custom_update_model,
            create_egp_ref,
            create_var_ref,
        )

        scatter = make_scatter(projection.linear, source, target, "spike * " * source.graded)
        arrays = dict(scatter.arrays)
        lines = ["const scalar spike = S;"]
        if projection.delay:
            # A ring of what was sent in the last steps, with one place for each step of delay.
            arrays["sent"] = np.zeros(projection.delay * source.size, np.float32)
            lines = [
                f"const int slot = (place * {source.size}) + (int)id;",
                "const scalar spike = sent[slot];",
                "sent[slot] = S;",
                f"place = (place == {projection.delay - 1}) ? 0 : place + 1;",
            ]
        code = "\n".join([*lines, "if(spike != 0.0) {", scatter.code, "}"])
        groups = self._model.neuron_populations
        name, buffer = f"{source.name}_to_{target.name}", ARRIVING
        if target.operands > 1:
            name, buffer = f"{name}_{projection.port}", arriving(projection.port)
        model = create_custom_update_model(
            name,
            vars=[("place", "int", CustomUpdateVarAccess.READ_WRITE)] if projection.delay else [],
            var_refs=[("S", "scalar", VarAccessMode.READ_ONLY)],
            extra_global_params=[(key, _TYPES[item.dtype.kind]) for key, item in arrays.items()],
            extra_global_param_refs=[("target", "scalar*")],
            update_code=code,
        )
        update = self._model.add_custom_update(
            name,
            GROUP,
            model,
            vars={"place": 0} if projection.delay else {},
            var_refs={"S": create_var_ref(groups[source.name], "S")},
            egp_refs={"target": create_egp_ref(groups[target.name], buffer)},
        )
        for key, item in arrays.items():
            update.extra_global_params[key].set_init_values(item)
        return f"{name} {code}"


_TYPES = {"f": "scalar*", "i": "int*"}


def make_scatter(linear: Linear, source: Neurons, target: Neurons, factor: str) -> Scatter:
    """Write what a spike does to the target.

    Args:
        linear: Weights.
        source: Where spikes come from.
        target: Where they go to.
        factor: Text before a weight: empty, or the value of the spike.
    """
    if isinstance(linear, Convolution):
        return _convolution(linear.in_planes(), factor)
    assert linear.matrix.shape == (source.size, target.size * target.ports)
    if isinstance(linear, Dense):
        return _dense(linear, factor)
    return _sparse(linear, factor)


def _dense(linear: Dense, factor: str) -> Scatter:
    columns = linear.matrix.shape[1]
    code = f"""
        const int from = (int)id * {columns};
        for(int j = 0; j < {columns}; j++) {{
            target[j] += {factor}weights[from + j];
        }}"""
    return Scatter(code=code, arrays={"weights": linear.matrix.ravel()})


def _sparse(linear: Sparse, factor: str) -> Scatter:
    code = f"""
        for(int j = rows[id]; j < rows[id + 1]; j++) {{
            target[post[j]] += {factor}weights[j];
        }}"""
    matrix = linear.matrix
    arrays = {
        "weights": matrix.data,
        "rows": matrix.indptr.astype(np.int32),
        "post": matrix.indices.astype(np.int32),
    }
    return Scatter(code=code, arrays=arrays)


def _convolution(item: Convolution, factor: str) -> Scatter:
    """Write the targets of a spike as runs of one output row, whose weights lie side by side.

    A source column c (pads included) reaches the output columns p = c / s - j by the kernel columns
    c % s + s j. The weights are kept in the order [channel, row, c % s, J - 1 - j, output], so
    that they ascend with p; taps beyond the kernel are zeros.
    """
    kernel = _undilated(item)
    outputs, fan_in, rows, columns = kernel.shape
    channels, _, width = item.source
    total, target_height, target_width = item.target
    assert fan_in * item.group == channels and outputs % item.group == 0
    assert item.first + outputs <= total
    wide = outputs // item.group
    (row_stride, column_stride), (top, left) = item.strides, item.pads
    taps = -(-columns // column_stride)
    padded = np.zeros((outputs, fan_in, rows, taps * column_stride), np.float32)
    padded[..., :columns] = kernel
    grouped = padded.reshape(item.group, wide, fan_in, rows, taps, column_stride)
    weights = grouped[:, :, :, :, ::-1].transpose(0, 2, 3, 5, 4, 1)
    if total == wide:
        # Most runs are whole: a loop of fixed length becomes straight vector instructions.
        add = f"""
            const int at = to + (begin * {wide});
            const int from = weight + (begin * {wide});
            if(last - begin == {taps - 1}) {{
                for(int k = 0; k < {taps * wide}; k++) {{
                    target[at + k] += {factor}weights[from + k];
                }}
            }}
            else {{
                const int size = (last - begin + 1) * {wide};
                for(int k = 0; k < size; k++) {{
                    target[at + k] += {factor}weights[from + k];
                }}
            }}"""
    else:
        add = f"""
            for(int p = begin; p <= last; p++) {{
                const int at = to + (p * {total});
                const int from = weight + (p * {wide});
                for(int k = 0; k < {wide}; k++) {{
                    target[at + k] += {factor}weights[from + k];
                }}
            }}"""
    code = f"""
        const int pixel = (int)id / {channels};
        const int channel = (int)id % {channels};
        const int row = (pixel / {width}) + {top};
        const int column = (pixel % {width}) + {left};
        const int lowest = (row - {rows - row_stride}) / {row_stride};
        const int highest = row / {row_stride};
        const int leftmost = (column / {column_stride}) - {taps - 1};
        const int rightmost = column / {column_stride};
        const int begin = (leftmost > 0) ? leftmost : 0;
        const int last = (rightmost < {target_width}) ? rightmost : {target_width - 1};
        for(int q = (lowest > 0) ? lowest : 0; q <= highest && q < {target_height}; q++) {{
            const int tap = (channel * {rows}) + row - (q * {row_stride});
            const int run = ((tap * {column_stride}) + (column % {column_stride})) * {taps};
            const int weight = (run - leftmost) * {wide};
            const int output = {item.first} + ((channel / {fan_in}) * {wide});
            const int to = (q * {target_width * total}) + output;
            {add}
        }}"""
    return Scatter(code=code, arrays={"weights": np.ascontiguousarray(weights).ravel()})


def _undilated(item: Convolution) -> np.ndarray:
    """Write the zeros between the taps of a dilated kernel out."""
    outputs, fan_in, rows, columns = item.kernel.shape
    down, right = item.dilations
    kernel = np.zeros((outputs, fan_in, (rows - 1) * down + 1, (columns - 1) * right + 1))
    kernel[:, :, ::down, ::right] = item.kernel
    return kernel
