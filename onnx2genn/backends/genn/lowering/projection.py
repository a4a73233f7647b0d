"""Lower a projection, one source of a segment, to a form that a synapse group can have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from onnx2genn.backends.genn.lowering.composition import as_convolution
from onnx2genn.backends.genn.lowering.convolution import Convolution
from onnx2genn.backends.genn.lowering.matrix import compose, windows
from onnx2genn.ir.graph import Node, Shape
from onnx2genn.ir.segment import Segment

# Above this share of weights that are not zero a matrix is kept whole.
_DENSE = 0.5


@dataclass(frozen=True, kw_only=True)
class Dense:
    """All-to-all weights, float32 [source, target], in the order of :func:`neuron_order`."""

    matrix: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Sparse:
    """Weights that are listed, float32 [source, target], in the order of :func:`neuron_order`."""

    matrix: sparse.csr_array


Linear = Convolution | Dense | Sparse


def neuron_order(shape: Shape) -> np.ndarray:
    """Return which element of an ONNX tensor each neuron of a population is.

    Neurons have the channel as their fastest axis, so that the targets of one kernel tap lie side
    by side.
    """
    elements = np.arange(np.prod(shape, dtype=np.int64)).reshape(shape)
    return np.moveaxis(elements, 0, -1).ravel() if shape else elements.ravel()


def lower(segment: Segment, source: str) -> Linear:
    """Lower what one source contributes to a segment.

    Args:
        segment: Affine map.
        source: One of its sources.

    Raises:
        BackendError: The projection would not fit into memory.
    """
    chain = _chain(segment, source)
    if chain is not None:
        convolution = as_convolution(segment, source, chain)
        if convolution is not None and any(node.op == "Conv" for node in chain):
            return convolution
        weight = _product(segment, chain)
        if weight is not None:
            return _dense(segment, source, weight)
    matrix = compose(segment, source)
    if matrix.nnz > _DENSE * np.prod(matrix.shape):
        return _dense(segment, source, matrix.toarray().T)
    rows, columns = neuron_order(segment.shapes[source]), neuron_order(segment.shape)
    return Sparse(matrix=matrix.T.tocsr()[rows][:, columns].astype(np.float32))


def lower_pool(segment: Segment, source: str, pool: Node) -> Sparse:
    """Lower what one source contributes to a max pooling.

    Args:
        segment: Map that moves its sources' elements to the input of the pooling.
        source: One of its sources.
        pool: The pooling.

    Returns:
        Ones, [source, targets times elements of a window]: column n K + k is what target neuron n
        reads as the k-th of K elements.
    """
    matrix = windows(segment, pool) @ compose(segment, source)
    taps = int(np.prod(pool.attributes["kernel_shape"]))
    rows, targets = neuron_order(segment.shapes[source]), neuron_order(segment.shapes[pool.output])
    columns = (targets[:, None] * taps + np.arange(taps)).ravel()
    return Sparse(matrix=matrix.T.tocsr()[rows][:, columns].astype(np.float32))


def _dense(segment: Segment, source: str, matrix: np.ndarray) -> Dense:
    rows, columns = neuron_order(segment.shapes[source]), neuron_order(segment.shape)
    return Dense(matrix=np.ascontiguousarray(matrix[rows][:, columns], dtype=np.float32))


def _product(segment: Segment, chain: list[Node]) -> np.ndarray | None:
    """Return the one matrix of a chain that flattens its source and multiplies it, plus sums."""
    linear = [node for node in chain if not _is_sum(segment, node)]
    if [node.op for node in linear if node.op != "Reshape"] != ["MatMul"]:
        return None
    (product,) = (node for node in linear if node.op == "MatMul")
    weight = segment.constants[product.inputs[1]]
    row, column = segment.shapes[product.inputs[0]], segment.shapes[product.output]
    return weight if (row, column) == (weight.shape[:1], weight.shape[1:]) else None


def _is_sum(segment: Segment, node: Node) -> bool:
    """Whether a node adds, and repeats no operand."""
    shapes = {segment.shapes[name] for name in node.inputs if name in segment.shapes}
    return node.op == "Add" and shapes == {segment.shapes[node.output]}


def _chain(segment: Segment, source: str) -> list[Node] | None:
    """Return the operators from a source to the target if they form one path."""
    chain: list[Node] = []
    passed: set[str] = set()
    end = source
    for node in segment.nodes:
        if passed.intersection(node.inputs) or node.inputs.count(end) > 1:
            return None
        if end in node.inputs:
            chain.append(node)
            passed.add(end)
            end = node.output
    return chain
