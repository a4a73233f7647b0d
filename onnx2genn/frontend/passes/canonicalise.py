"""Write every node in the canonical operators, by its handler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import replace

import numpy as np
import onnx

from onnx2genn.errors import Problem, UnsupportedModelError
from onnx2genn.frontend.context import Context
from onnx2genn.frontend.partition import misplaced_heads
from onnx2genn.frontend.probe import independent
from onnx2genn.frontend.rewrite import UNKNOWN, BatchRefusal, Refusal, problem, rewritten
from onnx2genn.frontend.shapes import with_shapes
from onnx2genn.ir.graph import CANONICAL_OPSET, Graph, Node
from onnx2genn.ir.registry import find

_FEW = 3  # problems that may as well be named one by one
_AT_THE_END = (
    "Where the output drops the batch, convert what comes before it: --output TENSOR, output=."
)
_FOREIGN = (
    "ONNX has no such operator: the exporter left one of its framework in the file.",
    "Write that layer with other operations, or use another exporter.",
)


def canonicalise(graph: Graph, context: Context) -> Graph:
    """Write a graph in canonical operators, in float32 and with shapes; list every problem.

    Args:
        graph: Graph in its own operators, with an open batch axis.
        context: Gets the problems: nodes that cannot be rewritten, and heads that are not at the
            end.
    """
    seen = context.probe(graph)
    constants = as_float32(seen.constants)
    known = replace(graph, constants=constants, shapes=seen.shapes, types=seen.types)
    written, problems = canonical(known, seen.independent)
    live = written.only_live()
    found = {item.node: item for item in [*misplaced_heads(live), *problems]}
    if found:
        problems = [found[node.name] for node in written.nodes if node.name in found]
        context.problems += _from_where_lost(problems, graph, context.stuck)
        return live
    return with_shapes(
        replace(
            live,
            opset=CANONICAL_OPSET,
            imports={},
            types={},
            constants=as_float32(live.constants),
            notes=[*graph.notes, *_precision_notes(graph)],
        )
    )


def _from_where_lost(
    problems: Sequence[Problem], graph: Graph, stuck: Node | None
) -> Sequence[Problem]:
    """Name the node behind which samples cannot be told apart, in place of all that follow."""
    about_batch = [item for item in problems if "batch" in item.reason]
    if stuck is None or len(about_batch) <= _FEW:
        return problems
    own = [item for item in about_batch if item.node == stuck.name]
    refusal = BatchRefusal(stuck.output)
    reason = "behind it, samples could not be told apart."
    cause = own or [problem(graph, stuck, reason, refusal.advice)]
    return [*cause, *(item for item in problems if item not in about_batch)]


def as_float32(constants: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Write constants of other floating point types in float32."""
    return {
        name: array.astype(np.float32) if _is_other_float(array) else array
        for name, array in constants.items()
    }


def _is_other_float(array: np.ndarray) -> bool:
    return str(array.dtype) in ("float64", "float16", "bfloat16")


def _precision_notes(graph: Graph) -> list[str]:
    kinds = sorted({str(item.dtype) for item in graph.constants.values() if _is_other_float(item)})
    return [f"Weights in {kind} are computed in float32." for kind in kinds]


def canonical(graph: Graph, independent: Set[str]) -> tuple[Graph, list[Problem]]:
    """Rewrite every node with its handler.

    Args:
        graph: Graph in its own operators, with shapes and folded constants.
        independent: Tensors that do not depend on the values of the inputs. Their nodes compute
            constants or shapes and are left out.

    Returns:
        The graph in canonical operators, where tensors that exist in both have the same name, and
        the problems of the nodes that could not be rewritten, which stay as they are. Of nodes that
        lack the batch as the first axis, only those are named that lose it.
    """
    nodes: list[Node] = []
    constants = dict(graph.constants)
    aliases: dict[str, str] = {}
    problems: list[Problem] = []
    read = {name for node in graph.nodes for name in node.inputs} | {graph.output}
    needed = _needed(graph, independent)
    for node in graph.nodes:
        if independent >= set(node.outputs) or needed.isdisjoint(node.outputs):
            continue
        node = replace(node, inputs=tuple(aliases.get(name, name) for name in node.inputs))
        try:
            written, fixed, renamed = rewritten(graph, node, read)
        except Refusal as refusal:
            of_batch = isinstance(refusal, BatchRefusal)
            if not (of_batch and _inherits(graph, node, problems)):
                advice = _AT_THE_END if of_batch and node.output == graph.output else refusal.advice
                problems.append(problem(graph, node, refusal.reason, advice))
            nodes.append(node)
            continue
        nodes += written
        constants |= fixed
        aliases |= renamed
        for old, new in renamed.items():
            if old in graph.shapes:
                graph.shapes[new] = graph.shapes[old]
    if graph.output in aliases:
        nodes.append(
            Node(
                op="Identity",
                inputs=(aliases[graph.output],),
                outputs=(graph.output,),
                name=f"{graph.output}/output",
            )
        )
    return replace(graph, nodes=nodes, constants=constants), problems


def _needed(graph: Graph, independent: Set[str]) -> set[str]:
    """Return the tensors whose values the outputs depend on, not their shapes alone."""
    needed = set(graph.outputs)
    for node in reversed(graph.nodes):
        if not needed.isdisjoint(node.outputs) and not independent >= set(node.outputs):
            needed.update(name for name in node.inputs if name not in independent)
    return needed


def _inherits(graph: Graph, node: Node, problems: Sequence[Problem]) -> bool:
    """Whether a node only lacks the batch because a node before it, which is named, moves it."""
    known = graph.shapes.keys() | graph.constants.keys() | {""}
    return bool(problems) and not known >= set(node.inputs)


def unknown(graph: Graph, independent: Set[str]) -> list[Problem]:
    """List the nodes of operators that have no spiking form, for a graph that cannot be run.

    Args:
        graph: Graph in its own operators.
        independent: Tensors that do not depend on the values of the inputs.
    """
    return [
        problem(graph, node, *reason)
        for node in graph.nodes
        if not independent >= set(node.outputs) and (reason := _general_refusal(node))
    ]


def _general_refusal(node: Node) -> tuple[str, str] | None:
    """Return why an operator is refused whatever its inputs are, and what to do instead."""
    entry = find(node)
    if entry is None:
        return UNKNOWN if node.domain or onnx.defs.has(node.op) else _FOREIGN
    if entry.kind != "refused":
        return None
    try:
        entry.handler(None)
    except Refusal as refusal:
        return refusal.reason, refusal.advice
    return None


def list_problems(graph: Graph, context: Context) -> Graph:
    """List what can be found in a graph that runs at no batch size but its own, or not at all.

    Args:
        graph: Graph in its own operators.
        context: Gets the problems.
    """
    if context.batch is not None:
        frozen = replace(context, problems=[], batches=(context.batch, context.batch))
        with suppress(UnsupportedModelError):
            canonicalise(graph, frozen)
            context.problems += frozen.problems
            return graph
    context.problems += unknown(graph, independent(graph))
    return graph
