"""Projections as synapse groups: connectivity that every GeNN backend has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from onnx2genn.backends.genn.device.memory import require
from onnx2genn.backends.genn.device.neurons import port
from onnx2genn.backends.genn.lowering.convolution import Convolution, dense_matrix
from onnx2genn.backends.genn.lowering.projection import Dense, Linear, Sparse
from onnx2genn.backends.genn.plan import Neurons, Projection

_BYTES = 4
# GeNN adds up the input of targets that fit into one block of threads without atomic operations,
# which is safe on a GPU only where one thread serves one target neuron, as for DENSE.
_BLOCK = 1024
_DENSE_BYTES = 2**26


class SynapseGroups:
    """Connects groups of neurons by TOEPLITZ, DENSE and SPARSE synapse groups.

    Args:
        model: PyGeNN model.
        parallel: Whether the device runs the synapses of a projection at the same time.
    """

    def __init__(self, model: Any, *, parallel: bool) -> None:
        self._model = model
        self._parallel = parallel
        # PyGeNN does not keep these models alive, and reads them until it has built.
        self._kept: list[Any] = []

    def connect(self, projection: Projection, source: Neurons, target: Neurons) -> str:
        """Add a projection; return what of it is compiled.

        Args:
            projection: Weights and delay.
            source: Where spikes come from.
            target: Where they go to.

        Raises:
            BackendError: It would not fit into memory.
        """
        linear = projection.linear
        name = f"{source.name}_to_{target.name}"
        if target.ports == 1:
            return self._add(name, projection, source, target)
        assert isinstance(linear, Sparse)
        assert linear.matrix.shape == (source.size, target.size * target.ports)
        texts = []
        for index in range(target.ports):
            part = Sparse(matrix=linear.matrix[:, index :: target.ports])
            if part.matrix.nnz:
                one = replace(projection, linear=part)
                texts.append(self._add(f"{name}_{index}", one, source, target, port(index)))
        return "\n".join(texts)

    def _add(
        self,
        name: str,
        projection: Projection,
        source: Neurons,
        target: Neurons,
        variable: str = "Isyn",
    ) -> str:
        from pygenn import init_postsynaptic

        kind, weights, connectivity, text = self._connectivity(projection, source, target)
        group = self._model.add_synapse_population(
            name,
            kind,
            self._model.neuron_populations[source.name],
            self._model.neuron_populations[target.name],
            self._weight_update(source, weights),
            init_postsynaptic("DeltaCurr"),
            *([connectivity] if kind == "TOEPLITZ" else []),
        )
        group.post_target_var = variable
        if kind == "SPARSE":
            group.set_sparse_connections(*connectivity)
        if projection.delay:
            group.axonal_delay_steps = projection.delay
        return f"{name} {kind} {variable} {projection.delay} {source.graded} {text}"

    def _connectivity(
        self, projection: Projection, source: Neurons, target: Neurons
    ) -> tuple[str, np.ndarray, Any, str]:
        """Return the kind of matrix, its weights, where they go, and what of that is compiled."""
        linear = projection.linear
        if self._parallel and target.size <= _BLOCK:
            linear = _whole(linear, source.size * target.size)
        if isinstance(linear, Convolution):
            from pygenn import init_toeplitz_connectivity

            snippet, kernel, code = toeplitz(linear.in_planes())
            self._kept.append(snippet)
            return "TOEPLITZ", kernel, init_toeplitz_connectivity(snippet), code
        if isinstance(linear, Dense):
            assert linear.matrix.shape == (source.size, target.size)
            return "DENSE", linear.matrix.ravel(), None, ""
        assert linear.matrix.shape == (source.size, target.size)
        entries = linear.matrix.tocoo()
        longest = int(np.diff(linear.matrix.indptr).max(initial=1))
        require(
            f"The SPARSE projection from {source.name} to {target.name}",
            source.size * longest * 2 * _BYTES,
        )
        return "SPARSE", entries.data, (entries.row, entries.col), str(longest)

    def _weight_update(self, source: Neurons, weights: np.ndarray) -> Any:
        from pygenn import VarAccess, VarAccessMode, create_weight_update_model, init_weight_update

        reference = ("S", "scalar", VarAccessMode.READ_ONLY)
        model = create_weight_update_model(
            "weighted",
            vars=[("g", "scalar", VarAccess.READ_ONLY)],
            pre_neuron_var_refs=[reference] if source.graded else [],
            pre_spike_syn_code="addToPost(g * S);" if source.graded else "addToPost(g);",
        )
        self._kept.append(model)
        return init_weight_update(
            model,
            vars={"g": np.ascontiguousarray(weights, dtype=np.float32)},
            pre_var_refs={"S": "S"} if source.graded else {},
        )


def _whole(linear: Linear, weights: int) -> Linear:
    """Keep all weights of a projection, zeros included, unless they are too many."""
    if isinstance(linear, Dense) or weights * _BYTES > _DENSE_BYTES:
        return linear
    if isinstance(linear, Convolution):
        return Dense(matrix=dense_matrix(linear.in_planes()))
    return Dense(matrix=linear.matrix.toarray())


def toeplitz(item: Convolution) -> tuple[Any, np.ndarray, str]:
    """Write a convolution over two axes as a snippet; every dimension is a literal in its text.

    Layers with the same text share one kernel on the device; with parameters instead, all layers
    would, and divide by numbers that are known only at run time.

    Args:
        item: Convolution over two spatial axes.

    Returns:
        The snippet, the kernel [rows, columns, source channels, O / group], flat, and the code.
    """
    from pygenn import create_toeplitz_connect_init_snippet

    outputs, fan_in, rows, columns = item.kernel.shape
    channels, _, width = item.source
    total, target_height, target_width = item.target
    assert fan_in * item.group == channels and outputs % item.group == 0
    assert item.first + outputs <= total
    wide = outputs // item.group
    (row_stride, column_stride), (row_step, column_step) = item.strides, item.dilations
    code = f"""
        const int tap = (int)(id_diag / {wide});
        const int kernelRow = tap / {columns};
        const int kernelColumn = tap % {columns};
        const int within = (int)(id_diag % {wide});
        for_each_synapse {{
            const int pixel = (int)(id_pre / {channels});
            const int channel = (int)(id_pre % {channels});
            const int row = (pixel / {width}) + {item.pads[0]} - (kernelRow * {row_step});
            const int column = (pixel % {width}) + {item.pads[1]} - (kernelColumn * {column_step});
            if(row >= 0 && column >= 0 && row % {row_stride} == 0 && column % {column_stride} == 0
               && row < {target_height * row_stride} && column < {target_width * column_stride}) {{
                const int postRow = row / {row_stride};
                const int post = (postRow * {target_width}) + (column / {column_stride});
                const int output = {item.first} + ((channel / {fan_in}) * {wide}) + within;
                addSynapse((post * {total}) + output, kernelRow, kernelColumn, channel, within);
            }}
        }}"""
    snippet = create_toeplitz_connect_init_snippet(
        "convolution",
        diagonal_build_code=code,
        calc_max_row_len_func=lambda _pre, _post, _params: rows * columns * wide,
        calc_kernel_size_func=lambda _params: [rows, columns, channels, wide],
    )
    grouped = item.kernel.reshape(item.group, wide, fan_in, rows, columns)
    kernel = grouped.transpose(3, 4, 0, 2, 1).reshape(-1)
    return snippet, kernel, code
