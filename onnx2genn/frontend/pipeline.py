"""Read a model: from an ONNX file to a canonical, verified and partitioned graph."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

import numpy as np

from onnx2genn.errors import Problem, UnsupportedModelError
from onnx2genn.frontend.file import InputShape, Source, choose_output, load_proto, raw_graph
from onnx2genn.frontend.partition import misplaced_heads, partition
from onnx2genn.frontend.passes.batch_first import lead_with_batch
from onnx2genn.frontend.passes.canonicalise import canonical, unknown
from onnx2genn.frontend.passes.data_movement import straighten_moves
from onnx2genn.frontend.passes.foreign import expand
from onnx2genn.frontend.passes.functions import fuse_functions
from onnx2genn.frontend.passes.max_pooling import settle_pools
from onnx2genn.frontend.passes.open_batch import free_batch
from onnx2genn.frontend.passes.piecewise import lower_activations
from onnx2genn.frontend.passes.products import lower_products, oversized, products
from onnx2genn.frontend.passes.quantisation import dequantise
from onnx2genn.frontend.passes.softmax import lower_softmax
from onnx2genn.frontend.probe import Probe, independent, probe, random_inputs
from onnx2genn.frontend.verify import verify
from onnx2genn.ir.fold import fold_graph
from onnx2genn.ir.graph import CANONICAL_OPSET, Graph
from onnx2genn.ir.inputs import join_inputs, separate_arrays
from onnx2genn.ir.model import Model

_RANDOM_SAMPLES = 8
_RANGE_SAMPLES = 256


def read(
    source: Source, *, output: str | None = None, input_shape: InputShape | None = None
) -> Model:
    """Read a model and make it canonical.

    Args:
        source: Path of an ONNX file, or a model in memory.
        output: Name of the output to convert; by default the first one of floats.
        input_shape: Shape of one sample, where the model leaves it open; of a model with several
            inputs the shapes by name.

    Raises:
        UnsupportedModelError: The model cannot be read or converted; it lists every problem.
    """
    graph, types, batch = _load(source, output, input_shape)
    moved = lead_with_batch(graph, types, batch)
    original, seen = _probed(moved, types, batch)
    model, problems = _convert(*straighten_moves(original, seen, types))
    if problems or model is None:
        raise UnsupportedModelError("The model cannot be converted.", problems)
    error = verify(original, model.graph, model.entries, types)
    if moved is not graph:
        error = max(error, verify(graph, model.graph, model.entries, types, batch=batch))
    return replace(model, error=error)


def check(
    source: Source, *, output: str | None = None, input_shape: InputShape | None = None
) -> list[Problem]:
    """List everything that keeps a model from being converted; empty if it converts.

    Args:
        source: Path of an ONNX file, or a model in memory.
        output: Name of the output to convert; by default the first one of floats.
        input_shape: Shape of one sample, where the model leaves it open; of a model with several
            inputs the shapes by name.

    Example:
        >>> import onnx2genn
        >>> for problem in onnx2genn.check("model.onnx"):  # doctest: +SKIP
        ...     print(problem)

    Raises:
        UnsupportedModelError: The file cannot be read at all.
    """
    try:
        read(source, output=output, input_shape=input_shape)
    except UnsupportedModelError as error:
        if not error.problems:
            raise
        return error.problems
    return []


def _load(
    source: Source, output: str | None, input_shape: InputShape | None
) -> tuple[Graph, dict[str, int], int | None]:
    """Load a model in its own operators, with the types of its inputs and a fixed batch size."""
    proto = load_proto(source)
    graph, types, batch = raw_graph(proto, choose_output(proto, output), input_shape)
    graph, problems = expand(graph)
    if problems:
        raise UnsupportedModelError("The model cannot be converted.", problems)
    return dequantise(graph), types, batch


def _probed(graph: Graph, types: Mapping[str, int], batch: int | None) -> tuple[Graph, Probe]:
    """Open the batch axis of a graph and run it at several batch sizes."""
    try:
        original = graph if batch is None else free_batch(graph, batch, types)
        return original, probe(original, types)
    except UnsupportedModelError as error:
        problems = _problems_at(batch, graph, types)
        if problems:
            raise UnsupportedModelError("The model cannot be converted.", problems) from error
        raise


def _problems_at(batch: int | None, graph: Graph, types: Mapping[str, int]) -> list[Problem]:
    """List what can be found in a graph that runs at no batch size but its own, or not at all."""
    if batch is not None:
        with suppress(UnsupportedModelError):
            return _canonical(graph, probe(graph, types, batches=(batch, batch)))[1]
    return unknown(graph, independent(graph))


def _canonical(original: Graph, seen: Probe) -> tuple[Graph, list[Problem]]:
    """Rewrite a graph; list every problem, of heads in the middle, too, in the graph's order."""
    known = replace(original, constants=_float32(seen.constants), shapes=seen.shapes)
    graph, problems = canonical(known, seen.independent)
    live = graph.only_live()
    found = {
        item.node: item for item in [*misplaced_heads(live), *oversized(live, known), *problems]
    }
    return graph, [found[node.name] for node in graph.nodes if node.name in found]


def _convert(original: Graph, seen: Probe) -> tuple[Model | None, list[Problem]]:
    """Make a graph canonical and cut it; return every problem instead if there is one."""
    graph, problems = _canonical(original, seen)
    if problems:
        return None, problems
    graph = replace(
        graph,
        opset=CANONICAL_OPSET,
        imports={},
        constants=_float32(graph.constants),
        notes=[*original.notes, *_precision_notes(original)],
    ).only_live()
    graph = lower_softmax(replace(graph, shapes=probe(graph).shapes))
    graph = fuse_functions(graph)
    return _lowered(graph, random_inputs(graph, _RANDOM_SAMPLES))


def _lowered(graph: Graph, samples: Mapping[str, np.ndarray]) -> tuple[Model, list[Problem]]:
    """Write what neurons cannot do with what they can, and cut the graph at its populations."""
    lowered = lower_activations(lower_products(graph, samples))
    lowered = settle_pools(fold_graph(replace(lowered, shapes=probe(lowered).shapes)))
    joined = join_inputs(lowered)
    parts, problems = partition(joined)
    model = Model(
        graph=joined,
        entries=graph.inputs,
        parts=parts,
        error=0.0,
        with_products=graph if products(graph) else None,
    )
    return model, problems


def fit_products(model: Model, samples: np.ndarray) -> Model:
    """Fit the products of a model to the ranges of their operands.

    Args:
        model: Canonical model.
        samples: Calibration samples [N, ...] of its one input.
    """
    if model.with_products is None:
        return model
    chosen = samples[:: -(-len(samples) // _RANGE_SAMPLES)]
    fitted, _ = _lowered(model.with_products, separate_arrays(model.entries, chosen))
    return replace(fitted, error=model.error)


def _float32(constants: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name: array.astype(np.float32) if _is_other_float(array) else array
        for name, array in constants.items()
    }


def _is_other_float(array: np.ndarray) -> bool:
    kind = str(array.dtype)
    return kind in ("float64", "float16", "bfloat16")


def _precision_notes(graph: Graph) -> list[str]:
    kinds = sorted({str(item.dtype) for item in graph.constants.values() if _is_other_float(item)})
    return [f"Weights in {kind} are computed in float32." for kind in kinds]
