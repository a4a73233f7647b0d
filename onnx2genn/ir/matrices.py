"""Products of matrices, product by product: for engines whose neurons add and multiply numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnx2genn.ir.graph import Node
from onnx2genn.ir.partition import Population
from onnx2genn.ir.segment import Segment


def count_products(population: Population) -> int:
    """Count the products that the neurons of a product of matrices add up."""
    return int(np.prod(population.shape)) * _inner(population)


def copies(population: Population) -> tuple[int, ...]:
    """Return how many products each element of the left and of the right matrix is a factor of."""
    sizes = (int(np.prod(part.shape)) for part in population.port_segments)
    return tuple(count_products(population) // size for size in sizes)


def factors(population: Population) -> tuple[Segment, Segment, Segment]:
    """Return the maps to the factors of all products: of both sides, of the left, of the right.

    Args:
        population: Neurons that send a product of matrices [..., n, k] and [..., k, m]. Their
            products [..., n, m, k] are in a row; the right factors follow all of the left.
    """
    left, right = population.port_segments
    shapes = [population.constants[f"{name}/shape"][1:] for name in _sides(population)]
    rows, columns = (np.arange(np.prod(shape)).reshape(shape) for shape in shapes)
    pairs = np.broadcast_arrays(rows[..., None, :], columns.swapaxes(-1, -2)[..., None, :, :])
    first, second = (item.ravel() for item in pairs)
    both = np.concatenate([first, rows.size + second])
    return (
        _picked(population.segment, both),
        _picked(left, first),
        _picked(right, second),
    )


def _picked(segment: Segment, index: np.ndarray) -> Segment:
    """Return the map to some elements of what a segment computes in a row."""
    target = f"{segment.target}/factors"
    node = Node(
        op="Gather",
        inputs=(segment.target, f"{target}/index"),
        outputs=(target,),
        attributes={"axis": 1},
        name=target,
    )
    return replace(
        segment,
        target=target,
        nodes=(*segment.nodes, node),
        constants={**segment.constants, f"{target}/index": index},
        shapes={**segment.shapes, target: index.shape},
    )


def sums(population: Population) -> Segment:
    """Return the map from the products in a row to the neurons that add them up."""
    products, rows = f"{population.tensor}/products", f"{population.tensor}/rows"
    shape = np.array([0, *population.shape, _inner(population)], np.int64)
    constants = {
        f"{rows}/shape": shape,
        f"{rows}/axes": np.array([len(population.shape) + 1], np.int64),
    }
    nodes = (
        Node(op="Reshape", inputs=(products, f"{rows}/shape"), outputs=(rows,), name=rows),
        Node(
            op="ReduceSum",
            inputs=(rows, f"{rows}/axes"),
            outputs=(population.tensor,),
            attributes={"keepdims": 0},
            name=population.tensor,
        ),
    )
    return Segment(
        sources=(products,),
        target=population.tensor,
        nodes=nodes,
        constants=constants,
        shapes={
            products: (count_products(population),),
            rows: tuple(int(size) for size in shape[1:]),
            population.tensor: population.shape,
        },
    )


def _inner(population: Population) -> int:
    return int(population.constants[f"{_sides(population)[0]}/shape"][-1])


def _sides(population: Population) -> tuple[str, ...]:
    return population.node.body[-1].inputs
