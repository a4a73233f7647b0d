"""Cut off what comes before a network: lookups of token ids, or what the user names."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
import onnx
from onnx import helper

from onnx2genn.errors import UnsupportedModelError
from onnx2genn.frontend.probe import BATCHES, READS_SHAPE_ONLY, Trial, try_out
from onnx2genn.ir.builder import Builder
from onnx2genn.ir.front import Front
from onnx2genn.ir.graph import Graph, Node, Shape, to_onnx
from onnx2genn.ir.registry import entry_of
from onnx2genn.ir.run import Runner

Types = Mapping[str, int]

_HIDING = -9e3  # what is added to scores that a mask hides is below
_LEAST = -50.0  # and might as well be this: exp(-50) is 2e-22


def starting_at(proto: onnx.ModelProto, shapes: Mapping[str, Shape]) -> onnx.ModelProto:
    """Let a model take inner tensors as inputs, without what comes before them.

    Args:
        proto: The model.
        shapes: Shapes of the tensors without the batch axis, by name.

    Raises:
        UnsupportedModelError: It has no such tensor.
    """
    made = {name for node in proto.graph.node for name in node.output}
    for name in shapes:
        _require(name, made)
    cut = onnx.ModelProto()
    cut.CopyFrom(proto)
    known = {info.name: info.type.tensor_type.elem_type for info in proto.graph.value_info}
    for node in cut.graph.node:
        node.output[:] = [f"{name}/before" if name in shapes else name for name in node.output]
    cut.graph.input.extend(
        helper.make_tensor_value_info(
            name, known.get(name) or onnx.TensorProto.FLOAT, ["N", *shape]
        )
        for name, shape in shapes.items()
    )
    return cut


def split(
    graph: Graph, types: Types, batch: int | None, wanted: Sequence[str] = ()
) -> tuple[Graph, dict[str, int], Front | None]:
    """Cut a graph into what onnxruntime computes of each sample, and the network.

    Args:
        graph: Graph in its own operators.
        types: ONNX element types of its inputs.
        batch: Batch size that the file is fixed to; None if it is open.
        wanted: Tensors to start at; by default what is looked up by whole numbers.

    Returns:
        The network, the types of its inputs, and what comes before, None if that is nothing.

    Raises:
        UnsupportedModelError: There is no such tensor, or it lacks the batch as its first axis.
    """
    for name in wanted:
        _require(name, graph.producers)
    cut = list(dict.fromkeys(wanted))
    if not cut:
        graph, cut = _looked_up(graph, types, batch)
    if not cut:
        return graph, dict(types), None
    before = graph.rewritten(graph.nodes, output=cut[0], further=tuple(cut[1:])).only_live()
    sizes = BATCHES if batch is None else (batch,)
    runner = Runner.of(before, input_types=types)
    trials = [try_out(before, runner, size, types) for size in sizes]
    perms = {name: _batch_to_front(name, trials) for name in cut}
    if any(perm[0] for perm in perms.values()):
        graph, cut = _turned(graph, perms)
        return split(graph, types, batch, cut)
    names = {name: f"{name}/before" for name in cut}
    nodes = [
        replace(node, outputs=tuple(names.get(item, item) for item in node.outputs))
        for node in graph.nodes
    ]
    inputs = {**graph.inputs, **{name: trials[0].shapes[name][1:] for name in cut}}
    rest = graph.rewritten(nodes, inputs=inputs).only_live()
    unused = [name for name in cut if name not in rest.inputs]
    if unused:
        raise UnsupportedModelError(f"The output does not depend on {unused[0]!r}.")
    kinds = {
        name: helper.np_dtype_to_tensor_dtype(trials[0].types[name])
        if name in names
        else types[name]
        for name in rest.inputs
    }
    model = to_onnx(
        before.nodes,
        before.constants,
        before.inputs,
        dict.fromkeys(cut),
        opset=graph.opset,
        imports=graph.imports,
        input_types=types,
    )
    note = f"What comes before {', '.join(cut)} is computed when samples are prepared."
    front = Front(model=model, entries=before.inputs, batch=batch)
    return rest.rewritten(rest.nodes, notes=[*graph.notes, note]), kinds, front


def _batch_to_front(name: str, trials: Sequence[Trial]) -> list[int]:
    """Return the order of axes in which the batch is the first one.

    Raises:
        UnsupportedModelError: A tensor has none.
    """
    shape = trials[0].shapes[name]
    for axis in range(len(shape)):
        if all(trial.shapes[name][axis] == trial.batch for trial in trials):
            return [axis, *(other for other in range(len(shape)) if other != axis)]
    raise UnsupportedModelError(
        f"The network cannot start at {name!r} of shape {list(shape)}: none of its axes is the "
        "batch. Start at another tensor."
    )


def _turned(graph: Graph, perms: Mapping[str, list[int]]) -> tuple[Graph, list[str]]:
    """Turn tensors so that the batch is first, and back; return the names of what is turned."""
    builder = Builder("start", graph.names)
    back: dict[str, str] = {}
    for node in graph.nodes:
        inputs = tuple(back.get(name, name) for name in node.inputs)
        builder.add(replace(node, inputs=inputs))
        for name in node.outputs:
            if perms.get(name, [0])[0]:
                turned = builder.emit(
                    "Transpose", name, output=f"{name}/samples_first", perm=perms[name]
                )
                order = np.argsort(perms[name]).tolist()
                back[name] = builder.emit("Transpose", turned, perm=order)
    cut = [f"{name}/samples_first" if name in back else name for name in perms]
    return graph.rewritten(builder.nodes), cut


def _require(name: str, known: Mapping[str, object] | set[str]) -> None:
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=3)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise UnsupportedModelError(f"The model computes no tensor {name!r}.{hint}")


def _looked_up(graph: Graph, types: Types, batch: int | None) -> tuple[Graph, list[str]]:
    """Find the floats that are made of whole numbers, if some of these choose or compare.

    Returns:
        The graph, in which masks are bounded, and the names of what was found.
    """
    whole = {name for name, kind in types.items() if _kind(kind) in "iub"}
    whole |= {name for name in graph.inputs if _stands_for_whole(graph, name)}
    if not whole or not any(map(_chooses, graph.nodes)):
        return graph, []
    try:
        trial = try_out(graph, Runner.of(graph, input_types=types), batch or BATCHES[0], types)
    except UnsupportedModelError:  # what is wrong will be said
        return graph, []
    found: list[str] = []
    chooses = False
    for node in graph.nodes:
        data = [name for name in node.inputs if name and name not in trial.independent]
        if not data or node.op in READS_SHAPE_ONLY or not whole >= set(data):
            continue
        chooses |= _chooses(node)
        for name in filter(None, node.outputs):
            if trial.types[name].kind == "f" and not _compared(graph, trial.types, name):
                found.append(name)
            else:
                whole.add(name)
    if not chooses:
        return graph, []
    return _with_bounded_masks(graph, trial, types, [*_on_the_edge(graph, found)])


def _with_bounded_masks(
    graph: Graph, trial: Trial, types: Types, names: Sequence[str]
) -> tuple[Graph, list[str]]:
    """Take masks as they are added to scores, and bound what they add where they hide these.

    The difference to what they do not hide is then one that neurons can express.

    Args:
        graph: Graph in its own operators.
        trial: What a run shows of it.
        types: ONNX element types of its inputs.
        names: Floats that are made of whole numbers.
    """
    ways = {name: [*_alone(graph, trial, name)] for name in names}
    hiding = _hiding(graph, trial, types, {item for way in ways.values() for item in way})
    found = {name: next(filter(hiding.__contains__, way), name) for name, way in ways.items()}
    builder = Builder("mask", graph.names)
    for node in graph.nodes:
        masks = hiding.intersection(found.values()).intersection(node.outputs)
        names_before = {name: f"{name}/unbounded" for name in masks}
        outputs = tuple(names_before.get(name, name) for name in node.outputs)
        builder.add(replace(node, outputs=outputs))
        for name, before in names_before.items():
            builder.emit("Max", before, np.asarray(_LEAST, trial.types[name]), output=name)
    bounded = graph.rewritten(builder.nodes, builder.constants) if builder.constants else graph
    return bounded, list(dict.fromkeys(found.values()))


def _alone(graph: Graph, trial: Trial, name: str) -> Iterator[str]:
    """Return a tensor, and those that are made of it alone, while one node reads each."""
    while trial.types[name].kind == "f":
        yield name
        readers = [node for node in graph.consumers[name] if node.op not in READS_SHAPE_ONLY]
        if len(readers) != 1 or name in graph.outputs:
            return
        if not trial.independent.union([name]).issuperset(filter(None, readers[0].inputs)):
            return
        name = readers[0].output


def _hiding(graph: Graph, trial: Trial, types: Types, names: Collection[str]) -> set[str]:
    """Find the tensors that hide what they are added to, where all inputs are 0, or all are 1."""
    runner = Runner.of(graph, names, input_types=types)
    found: set[str] = set()
    for value in (0, 1):
        feeds = {
            name: np.full(trial.shapes[name], value, trial.types[name]) for name in graph.inputs
        }
        with suppress(UnsupportedModelError):  # of other data
            arrays = runner(feeds)
            found |= {name for name in names if arrays[name].min(initial=0) < _HIDING}
    return found


def _stands_for_whole(graph: Graph, name: str) -> bool:
    """Whether all that is read of an input is rounded first, as token ids that came as floats."""
    readers = [node for node in graph.consumers[name] if node.op not in READS_SHAPE_ONLY]
    casts = [node.attributes.get("to", 0) for node in readers if node.op == "Cast"]
    return 0 < len(casts) == len(readers) and all(_kind(kind) in "iu" for kind in casts)


def _compared(graph: Graph, types: Mapping[str, np.dtype], name: str) -> bool:
    """Whether floats are only compared, or become whole numbers again."""
    made = [types[output] for node in graph.consumers[name] for output in node.outputs if output]
    return bool(made) and name not in graph.outputs and all(kind.kind in "iub" for kind in made)


def _chooses(node: Node) -> bool:
    return node.op in _LOOKUPS or entry_of(node).kind == "condition"


def _kind(element_type: int) -> str:
    return helper.tensor_dtype_to_np_dtype(element_type).kind


_LOOKUPS = {"Gather", "GatherElements", "GatherND", "OneHot", "ScatterElements", "ScatterND"}


def _on_the_edge(graph: Graph, names: Sequence[str]) -> Iterator[str]:
    """Return the tensors that the rest of the network reads."""
    for name in names:
        if graph.consumers[name] or name in graph.outputs:
            yield name
