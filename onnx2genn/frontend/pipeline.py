"""The way of a model: from an ONNX file to a canonical, verified and partitioned graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import onnx

from onnx2genn.errors import Problem, UnsupportedModelError
from onnx2genn.frontend import size
from onnx2genn.frontend.context import Context
from onnx2genn.frontend.file import InputShape, Source, load_proto
from onnx2genn.frontend.front import split, starting_at
from onnx2genn.frontend.outputs import Wanted, choose_outputs, joined
from onnx2genn.frontend.partition import cut
from onnx2genn.frontend.passes.batch_first import lead_with_batch
from onnx2genn.frontend.passes.canonicalise import canonicalise, list_problems
from onnx2genn.frontend.passes.data_movement import straighten_moves
from onnx2genn.frontend.passes.folding import fold_constants
from onnx2genn.frontend.passes.foreign import expand
from onnx2genn.frontend.passes.functions import fuse_functions
from onnx2genn.frontend.passes.heads import sink_heads
from onnx2genn.frontend.passes.inputs import single_input
from onnx2genn.frontend.passes.max_pooling import settle_pools
from onnx2genn.frontend.passes.open_batch import free_batch
from onnx2genn.frontend.passes.outputs import separate_heads
from onnx2genn.frontend.passes.picks import take_from_parts
from onnx2genn.frontend.passes.piecewise import lower_activations
from onnx2genn.frontend.passes.products import lower_products
from onnx2genn.frontend.passes.quantisation import dequantise
from onnx2genn.frontend.passes.recognise import recognise
from onnx2genn.frontend.passes.recurrent.layout import settle_layout
from onnx2genn.frontend.passes.recurrent.states import repeat_states
from onnx2genn.frontend.passes.recurrent.unroll import unroll
from onnx2genn.frontend.passes.small_sums import separate_sums
from onnx2genn.frontend.passes.softmax import lower_softmax
from onnx2genn.frontend.passes.whole_numbers import as_floats
from onnx2genn.frontend.probe import BATCHES
from onnx2genn.frontend.raw import raw_graph
from onnx2genn.frontend.reference import Reference
from onnx2genn.frontend.verify import verify, without_roundings
from onnx2genn.ir.graph import Graph
from onnx2genn.ir.inputs import separate_arrays
from onnx2genn.ir.model import Model
from onnx2genn.stages import stage

_DEAR = 2.0  # Further outputs may cost as much as the first.
_REFUSED = "The model cannot be converted."
# After these, the graph is the file as onnxruntime can run it; the file without roundings; and one
# of a single input.
EXPANDED, DEQUANTISED, JOINED = "floats", "dequantise", "inputs"


@dataclass(frozen=True, slots=True)
class Pass:
    """One rewrite of the graph.

    Attributes:
        name: What it does, in a word or two.
        function: ``(Graph, Context) -> Graph``; problems go into the context.
        why: What would go wrong without it.
    """

    name: str
    function: Callable[[Graph, Context], Graph]
    why: str


# In the model's own operators, which onnxruntime runs as they are, then in canonical ones.
PASSES = (
    Pass("layout", settle_layout, "recurrent layers have the time first, samples come first"),
    Pass("expand", expand, "onnxruntime cannot run operators of other domains"),
    Pass(EXPANDED, as_floats, "whole numbers of quantised models stand for floats"),
    Pass(DEQUANTISED, dequantise, "spikes round by themselves"),
    Pass("unroll", unroll, "a state goes from one step to the next, spikes only forward"),
    Pass("batch first", lead_with_batch, "samples are simulated one by one"),
    Pass("open batch", free_batch, "exporters bake the batch size into shapes"),
    Pass("straighten", straighten_moves, "data may move through the place of the batch"),
    Pass("recognise", recognise, "a variance as a difference of squares is lost in rounding"),
    Pass("canonicalise", canonicalise, "each operator in one way only"),
    Pass("picks", take_from_parts, "what reads one step must not wait for all"),
    Pass("heads", sink_heads, "a head can be taken off at the end alone"),
    Pass("outputs", separate_heads, "a network has one readout, and each output its own heads"),
    Pass(
        "softmax", lower_softmax, "within the network it takes a maximum, exponentials, a logarithm"
    ),
    Pass("functions", fuse_functions, "a neuron sends a function of one sum"),
    Pass("sums", separate_sums, "what is rounded before a root or a logarithm is lost"),
    Pass("products", lower_products, "or of two sums, collected apart"),
    Pass("piecewise", lower_activations, "neurons have Relu and Clip from 0 to m"),
    Pass("fold", fold_constants, "scales and shifts belong into the weights"),
    Pass("pools", settle_pools, "the largest count is that of neurons right before the pool"),
    Pass(JOINED, single_input, "a simulator has one input"),
)

# In place of those that are left, when one cannot go on and does not know why.
OTHERWISE = Pass("problems", list_problems, "all problems are named at once")


def read(
    source: Source,
    *,
    output: Wanted = None,
    start: Sequence[str] = (),
    input_shape: InputShape | None = None,
) -> Model:
    """Read a model and make it canonical.

    Args:
        source: Path of an ONNX file, or a model in memory.
        output: Name of the output to convert, or several names; by default the first one of floats,
            and the others where they can be converted, too, and cost no more than it does.
        start: Tensors that the network starts at; what comes before is computed when samples are
            prepared. By default what token ids are looked up as, or the inputs.
        input_shape: Shape of one sample, where the model leaves it open; of a model with several
            inputs the shapes by name. Of a tensor to start at, to leave out what comes before.

    Raises:
        UnsupportedModelError: The model cannot be read or converted; it lists every problem.
    """
    proto = load_proto(source)
    given = set(start) & set(input_shape) if isinstance(input_shape, Mapping) else set()
    if isinstance(input_shape, Mapping) and given:
        proto = starting_at(proto, {name: tuple(input_shape[name]) for name in given})
        start = [name for name in start if name not in given]
    names = choose_outputs(proto, output)
    if output is not None or len(names) == 1:
        whole = _graph(proto, names, input_shape)
        del source, proto  # and its weights, where nobody else has it
        return _read(*whole, names, start)
    try:
        against = _too_dear(proto, names, input_shape)
        if not against:
            return _read(*_graph(proto, names, input_shape), names, start)
    except UnsupportedModelError as error:
        against = str(error.problems[0] if error.problems else error)
    model = _read(*_graph(proto, names[:1], input_shape), names[:1], start)
    note = f"Converted the output {names[0]} alone, without {', '.join(names[1:])}: {against}"
    return replace(model, graph=replace(model.graph, notes=[*model.graph.notes, note]))


def _too_dear(proto: onnx.ModelProto, names: Sequence[str], input_shape: InputShape | None) -> str:
    """Say why not all outputs are taken unless they are asked for; empty if they are."""
    first, total = (
        size.estimate(*_graph(proto, some, input_shape)).macs for some in (names[:1], names)
    )
    if total <= _DEAR * first:
        return ""
    return f"together they take {total / max(first, 1):.1f} times its multiply-accumulates."


def _read(
    whole: Graph,
    kinds: dict[str, int],
    batch: int | None,
    outputs: tuple[str, ...],
    start: Sequence[str],
) -> Model:
    size.require(size.estimate(whole, kinds, batch))
    whole, context = _runnable(whole, Context(input_types=kinds, batch=batch, outputs=outputs))
    file, types, front = split(whole, kinds, context.batch, start)
    if front is not None:
        context = Context(input_types=types, batch=context.batch, outputs=outputs)
    entries = file.inputs
    for step, graph in run(file, context, PASSES):
        if step.name == EXPANDED:
            reference = Reference(
                graph=graph, runner=context.runner(graph), input_types=types, batch=context.batch
            )
        elif step.name == DEQUANTISED and context.roundings:
            reference = without_roundings(reference, graph, context.roundings)
        if step.name != JOINED:
            entries = graph.inputs
    with stage("comparing with the file"):
        error = verify(reference.expect(graph.producers), graph, entries)

    def verify_again(other: Graph, samples: Mapping[str, np.ndarray]) -> float:
        return verify(reference.expect(other.producers, samples), other, entries)

    return Model(
        graph=graph,
        entries=entries,
        parts=cut(graph),
        error=error,
        limits=context.limits,
        trace=tuple(context.trace),
        front=None if front is None else front.of(whole.inputs, entries),
        verify=verify_again,
    )


def _runnable(graph: Graph, context: Context) -> tuple[Graph, Context]:
    """Repeat a first state of one sample, or else fix the batch to 1, if nothing more runs."""
    if context.batch is not None:
        return graph, context
    alone = replace(context, batch=1)
    for tried, way in ((graph, context), (repeat_states(graph), context), (graph, alone)):
        with suppress(UnsupportedModelError):
            way.trial(tried, way.batch or min(BATCHES))
            return tried, way
    return graph, context


def _graph(
    proto: onnx.ModelProto, outputs: Sequence[str], input_shape: InputShape | None
) -> tuple[Graph, dict[str, int], int | None]:
    """Return a model as a graph; nothing else of it is kept, for its weights may be large."""
    whole, output = joined(proto, outputs)
    return raw_graph(whole, output, input_shape)


def run(graph: Graph, context: Context, passes: Sequence[Pass]) -> Iterator[tuple[Pass, Graph]]:
    """Run passes one after the other; return each with the graph that it made.

    Args:
        graph: Graph that the first pass takes.
        context: What the passes share.
        passes: Some of ``PASSES``, in their order.

    Raises:
        UnsupportedModelError: A pass finds that the model cannot be converted.
    """
    for step in passes:
        before = graph
        try:
            with stage(f"pass {step.name!r}"):
                graph = step.function(graph, context)
        except UnsupportedModelError as error:
            context.problems += error.problems
            if not context.problems:
                OTHERWISE.function(before, context)
            if not context.problems:
                raise
            raise UnsupportedModelError(_REFUSED, context.problems) from error
        if context.problems:
            raise UnsupportedModelError(_REFUSED, context.problems)
        nodes = f"{len(before.nodes)} nodes"
        nodes += f" become {len(graph.nodes)}" if graph is not before else " stay"
        context.trace.append(f"{step.name}: {nodes} ({step.why})")
        yield step, graph


def fit(model: Model, samples: np.ndarray) -> Model:
    """Compare a model with its file on samples.

    Args:
        model: Model as :func:`read` returns it; one that was compared stays as it is.
        samples: Calibration samples [N, ...] of its one input.

    Raises:
        UnsupportedModelError: On these samples it does not compute what the file computes.
    """
    if model.verify is None:
        return model
    error = model.verify(model.graph, separate_arrays(model.entries, model.summed(samples)))
    return replace(model, error=max(model.error, error), verify=None)


def check(
    source: Source, *, output: Wanted = None, input_shape: InputShape | None = None
) -> list[Problem]:
    """List everything that keeps a model from being converted; empty if it converts.

    Args:
        source: Path of an ONNX file, or a model in memory.
        output: As for :func:`read`.
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
