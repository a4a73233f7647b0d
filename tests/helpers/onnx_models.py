"""Small ONNX models, and their comparison with what the reader makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import compose, helper, numpy_helper

from onnx2genn.frontend.pipeline import read
from onnx2genn.ir.inputs import join_arrays
from onnx2genn.ir.model import Model
from onnx2genn.ir.run import session

FLOAT = onnx.TensorProto.FLOAT
# Some operators of the newest release for Python 3.10 are wrong or missing.
OLD_ONNXRUNTIME = tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 24)


def node(op: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    """Make a node; inputs and outputs are names separated by blanks, ``_`` for one left out."""

    def names(text: str) -> list[str]:
        return ["" if name == "_" else name for name in text.split()]

    return helper.make_node(op, names(inputs), names(outputs), **attributes)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int | str]],
    weights: Mapping[str, np.ndarray] | None = None,
    *,
    outputs: Sequence[str] = ("y",),
    opset: int = 17,
    domains: Mapping[str, int] | None = None,
    dtype: int = FLOAT,
) -> onnx.ModelProto:
    """Make a model of float inputs whose shapes include the batch axis."""
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, dtype, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    opsets = {"": opset, **(domains or {})}
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(*item) for item in opsets.items()],
        ir_version=8,
    )


def side_by_side(
    parts: Mapping[str, onnx.ModelProto], *, batch: int | str = "N", opset: int = 17
) -> onnx.ModelProto:
    """Put models into one, which has the inputs of all and their outputs in one row.

    Args:
        parts: Models of one output [N, ...], by what their names then start with.
        batch: Size or symbol of the batch axis.
        opset: Of the model.
    """
    graphs = [compose.add_prefix(part, f"{name}_").graph for name, part in parts.items()]
    inputs = {
        info.name: [batch, *(axis.dim_value for axis in info.type.tensor_type.shape.dim[1:])]
        for graph in graphs
        for info in graph.input
    }
    weights = {
        item.name: numpy_helper.to_array(item) for graph in graphs for item in graph.initializer
    }
    joined = node("Concat", " ".join(graph.output[0].name for graph in graphs), "y", axis=1)
    nodes = [*(item for graph in graphs for item in graph.node), joined]
    return model(nodes, inputs, weights, opset=opset)


def one_node(
    op: str,
    inputs: Sequence[tuple[int, ...] | np.ndarray | None],
    *,
    opset: int = 17,
    outputs: int = 1,
    domain: str = "",
    **attributes: Any,
) -> onnx.ModelProto:
    """Make a model of one node.

    Args:
        op: Operator.
        inputs: A shape without batch for an input of the network, an array for a constant, None
            for an input left out.
        opset: Version of its domain.
        outputs: Number of outputs, all of which the model has.
        domain: Domain of the operator.
        attributes: Attributes of the node.
    """
    names = ["" if item is None else f"in{index}" for index, item in enumerate(inputs)]
    made = [f"out{index}" for index in range(outputs)]
    return model(
        [helper.make_node(op, names, made, name="the_node", domain=domain, **attributes)],
        {
            name: ["N", *item]
            for name, item in zip(names, inputs, strict=True)
            if isinstance(item, tuple)
        },
        {
            name: item
            for name, item in zip(names, inputs, strict=True)
            if isinstance(item, np.ndarray)
        },
        outputs=made,
        opset=17 if domain else opset,
        domains={domain: opset} if domain else None,
    )


def check_op(
    op: str,
    inputs: Sequence[tuple[int, ...] | np.ndarray | None],
    *,
    opset: int = 17,
    outputs: int = 1,
    domain: str = "",
    **attributes: Any,
) -> Model:
    """Read a model of one node and assert that every output is what onnxruntime computes.

    Returns:
        The canonical model of the first output.
    """
    proto = one_node(op, inputs, opset=opset, outputs=outputs, domain=domain, **attributes)
    models = [check_model(proto, output=info.name) for info in proto.graph.output]
    return models[0]


def check_model(proto: onnx.ModelProto, *, output: str | None = None, batch: int = 3) -> Model:
    """Read a model and assert that its canonical graph computes what onnxruntime does."""
    found = read(proto, output=output)
    feeds = signed_inputs(proto, found, batch)
    (wanted,) = session(proto).run([found.graph.output], feeds)
    (entry,) = found.graph.inputs
    joined = {entry: join_arrays(found.entries, feeds)}
    (got,) = session(found.to_onnx()).run([found.graph.output], joined)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4 * max(1e-3, np.abs(wanted).max()))
    return found


def signed_inputs(proto: onnx.ModelProto, found: Model, batch: int) -> dict[str, np.ndarray]:
    """Make inputs of both signs in the types that the model takes."""
    random = np.random.default_rng(1)
    dtypes = {
        info.name: helper.tensor_dtype_to_np_dtype(
            info.type.tensor_type.elem_type or onnx.TensorProto.FLOAT
        )
        for info in proto.graph.input
        if info.name in found.entries
    }
    return {
        name: (random.normal(size=(batch, *shape)) * 3).astype(dtypes[name])
        for name, shape in found.entries.items()
    }


def operators(found: Model) -> list[str]:
    """Return the operators of a canonical graph in order."""
    return [item.op for item in found.graph.nodes]


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    """Random float32 numbers."""
    array = np.random.default_rng([seed, *shape]).normal(size=shape) * scale
    return array.astype(np.float32)


def ints(*values: int) -> np.ndarray:
    """A constant of whole numbers."""
    return np.array(values, np.int64)
