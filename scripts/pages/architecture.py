"""Write into ``docs/architecture.md`` what every pass does to a small network.

python scripts/pages/architecture.py
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import DOCS
from common.markdown import Blocks, code, table, written
from onnx2genn.frontend.context import Context
from onnx2genn.frontend.file import load_proto
from onnx2genn.frontend.partition import partition
from onnx2genn.frontend.pipeline import PASSES, Pass, run
from onnx2genn.frontend.raw import raw_graph
from onnx2genn.ir.graph import Graph
from onnx2genn.ir.segment import Segment

PAGE = DOCS / "architecture.md"


def example() -> onnx.ModelProto:
    """Write a residual network as an exporter may: channels last, for one image at a time."""
    random = np.random.default_rng(0)

    def weights(*shape: int) -> np.ndarray:
        return random.normal(0, 0.3, shape).astype(np.float32)

    constants = {
        "w1": weights(4, 3, 3, 3),
        "gamma": 1 + weights(4),
        "beta": weights(4),
        "mean": weights(4),
        "variance": 1 + weights(4),
        "w2": weights(4, 4, 3, 3),
        "flat": np.array([1, 4]),
        "w3": weights(3, 4),
        "b3": weights(3),
    }
    node = helper.make_node
    nodes = [
        node("Transpose", ["image"], ["x"], perm=[0, 3, 1, 2]),
        node("Conv", ["x", "w1"], ["c"], pads=[1] * 4),
        node("BatchNormalization", ["c", "gamma", "beta", "mean", "variance"], ["n"]),
        node("MaxPool", ["n"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Relu", ["p"], ["r"]),
        node("Conv", ["r", "w2"], ["d"], pads=[1] * 4),
        node("Add", ["d", "r"], ["s"]),
        node("LeakyRelu", ["s"], ["l"], alpha=0.1),
        node("GlobalAveragePool", ["l"], ["a"]),
        node("Reshape", ["a", "flat"], ["f"]),
        node("Gemm", ["f", "w3", "b3"], ["z"], transB=1),
        node("Softmax", ["z"], ["classes"]),
    ]
    graph = helper.make_graph(
        nodes,
        "example",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, 8, 8, 3])],
        [helper.make_tensor_value_info("classes", onnx.TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@cache
def steps() -> tuple[tuple[Pass | None, Graph], ...]:
    """Return the graph of the file, and each pass with the graph that it made."""
    file, types, batch = raw_graph(load_proto(example()), "classes")
    context = Context(input_types=types, batch=batch)
    return (None, file), *run(file, context, PASSES)


def file() -> str:
    """Return the nodes of the file."""
    return code("", lines(steps()[0][1]))


def passes() -> str:
    """Return the passes in their order, and what each changes in the example."""
    parts, (_, before) = [], steps()[0]
    for step, after in steps()[1:]:
        assert step is not None
        found = list(changes(before, after))
        parts.append(f"**{step.name}**: {step.why}." + ("" if found else " *(Nothing here.)*"))
        parts += [code("diff", found)] if found else []
        before = after
    return "\n\n".join(parts)


def populations() -> str:
    """Return the populations of the example and what feeds them, and the readout."""
    found, problems = partition(steps()[-1][1])
    assert not problems
    rows = [
        [
            f"`{item.tensor}`",
            item.node.op,
            _shape(item.shape),
            str(item.depth),
            *_cells(item.segment),
        ]
        for item in found.populations
    ]
    rows.append(
        ["readout", "", _shape(found.readout.shapes[found.readout.target]), str(found.depth),
         *_cells(found.readout)]
    )  # fmt: skip
    heads = ["population", "neurons", "shape", "depth", "hears", "through the segment"]
    return table(heads, rows, left=len(heads))


def lines(graph: Graph) -> list[str]:
    """Write each node on a line."""
    return [
        f"{', '.join(node.outputs)} = {node.operator}({', '.join(node.inputs)})"
        for node in graph.nodes
    ]


def changes(before: Graph, after: Graph) -> Iterator[str]:
    """Give the lines that differ."""
    for line in difflib.unified_diff(lines(before), lines(after), n=0, lineterm=""):
        if not line.startswith(("---", "+++", "@@")):
            yield f"{line[0]} {line[1:]}"


def _cells(segment: Segment) -> tuple[str, str]:
    sources = ", ".join(f"`{name}`" for name in segment.sources)
    return sources, ", ".join(node.op for node in segment.nodes) or "nothing"


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


BLOCKS: Blocks = {item.__name__: item for item in (file, passes, populations)}


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(), BLOCKS))
