"""Projections as synapse groups: connectivity that every GeNN backend has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from onnx2genn.backends.genn.device.groups import SynapseGroup, Synapses
from onnx2genn.backends.genn.device.neurons import port
from onnx2genn.backends.genn.device.toeplitz import create_snippet, toeplitz
from onnx2genn.backends.genn.installation import CPU
from onnx2genn.backends.genn.lowering.convolution import Convolution, sparse_matrix
from onnx2genn.backends.genn.lowering.projection import Dense, Linear, Sparse
from onnx2genn.backends.genn.memory import require
from onnx2genn.backends.genn.plan import Neurons, Plan, Projection

_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Which synapse groups a device runs without a race.

    GeNN adds up the input of targets that fit into one block of threads without atomic operations.
    On a GPU that is safe only where one thread serves one target neuron, as for DENSE; or where a
    thread serves a source neuron, as SPARSE can be told to, and the input goes around that short
    cut.

    Attributes:
        one_block: Neurons of the largest target that may fit into one block.
        dense_bytes: Size of the largest matrix for such a target that is kept whole.
    """

    one_block: int
    dense_bytes: int = 2**26


SERIAL = Limits(one_block=0)
PARALLEL = Limits(one_block=1024)


def safe_limits(backend: str) -> Limits:
    """Return what is safe on a GeNN backend."""
    return SERIAL if backend == CPU else PARALLEL


class SynapseGroups:
    """Connects groups of neurons by TOEPLITZ, DENSE and SPARSE synapse groups.

    Args:
        model: PyGeNN model.
        limits: What is safe on the device.
        plan: All that will be connected.

    Attributes:
        kept: Models that PyGeNN does not keep alive, and reads until it has built.
    """

    def __init__(self, model: Any, limits: Limits, plan: Plan) -> None:
        self._model = model
        self._limits = limits
        self._by_events = sources_of_events(plan, limits)
        self.kept: list[Any] = []

    def connect(self, projection: Projection, source: Neurons, target: Neurons) -> str:
        """Add a projection; return what of it is compiled.

        Args:
            projection: Weights and delay.
            source: Where spikes come from.
            target: Where they go to.

        Raises:
            BackendError: It would not fit into memory.
        """
        groups = describe_projection(
            projection, source, target, self._limits, events=source.name in self._by_events
        )
        return "\n".join(self._add(item) for item in groups)

    def _add(self, item: SynapseGroup) -> str:
        from pygenn import (
            ParallelismHint,
            VarAccess,
            VarAccessMode,
            create_weight_update_model,
            init_postsynaptic,
            init_toeplitz_connectivity,
            init_weight_update,
        )

        reads = {"S": "S"} if item.graded else {}
        update = create_weight_update_model(
            "weighted",
            vars=[("g", "scalar", VarAccess.READ_ONLY)],
            pre_neuron_var_refs=[(key, "scalar", VarAccessMode.READ_ONLY) for key in reads],
            **item.update,
        )
        synapses = item.synapses
        snippet = None if synapses.toeplitz is None else create_snippet(synapses.toeplitz)
        self.kept += [update, snippet]
        weights = np.ascontiguousarray(synapses.weights, dtype=np.float32)
        group = self._model.add_synapse_population(
            item.name,
            synapses.kind,
            self._model.neuron_populations[item.source],
            self._model.neuron_populations[item.target],
            init_weight_update(update, vars={"g": weights}, pre_var_refs=reads),
            init_postsynaptic("DeltaCurr"),
            *([] if snippet is None else [init_toeplitz_connectivity(snippet)]),
        )
        if synapses.places:
            group.set_sparse_connections(*synapses.places)
        group.post_target_var = item.variable
        if item.delay:
            group.axonal_delay_steps = item.delay
        if item.by_source:
            group.parallelism_hint = ParallelismHint.PRESYNAPTIC
        return f"{item.name} {synapses.compiled} {item.variable} {item.delay} {item.update}"


def sources_of_events(plan: Plan, limits: Limits) -> frozenset[str]:
    """Name the neurons that send everything as events, as what TOEPLITZ carries travels.

    GeNN 5.4 merges the queues of a group that delays its spikes alone with those of one that delays
    its events alone, and clears the lists of both as those of the first. So no group delays only
    one of the two.

    Args:
        plan: What is simulated.
        limits: What is safe on the device.
    """
    delayed: dict[str, dict[bool, bool]] = defaultdict(dict)
    for target in plan.neurons:
        for item in target.projections:
            source, kinds = plan.by_name[item.source], delayed[item.source]
            events = source.graded and _is_toeplitz(item.linear, source, target, limits)
            kinds[events] = kinds.get(events, False) or item.delay > 0
    return frozenset(name for name, kinds in delayed.items() if len({*kinds.values()}) == 2)


def _is_toeplitz(linear: Linear, source: Neurons, target: Neurons, limits: Limits) -> bool:
    """Whether a linear map becomes TOEPLITZ, which carries whole numbers alone, as digits."""
    return isinstance(linear, Convolution) and target.size > limits.one_block and not source.hidden


def describe_projection(
    projection: Projection,
    source: Neurons,
    target: Neurons,
    limits: Limits,
    *,
    events: bool = False,
) -> Iterator[SynapseGroup]:
    """Write a projection as synapse groups.

    Args:
        projection: Weights and delay.
        source: Where spikes come from.
        target: Where they go to.
        limits: What is safe on the device.
        events: Whether the source is one of :func:`sources_of_events`.

    Raises:
        BackendError: It would not fit into memory.
    """
    linear = projection.linear
    name = f"{source.name}_to_{target.name}"
    if target.operands > 1:
        at = projection.port
        yield from _groups(f"{name}_{at}", projection, source, target, limits, events, port(at))
        return
    if target.ports == 1:
        yield from _groups(name, projection, source, target, limits, events)
        return
    assert isinstance(linear, Sparse)
    assert linear.matrix.shape == (source.size, target.size * target.ports)
    for index in range(target.ports):
        part = Sparse(matrix=linear.matrix[:, index :: target.ports])
        if part.matrix.nnz:
            one = replace(projection, linear=part)
            yield from _groups(f"{name}_{index}", one, source, target, limits, events, port(index))


def _groups(
    name: str,
    projection: Projection,
    source: Neurons,
    target: Neurons,
    limits: Limits,
    events: bool,
    variable: str = "Isyn",
) -> Iterator[SynapseGroup]:
    one_block = target.size <= limits.one_block
    linear = projection.linear
    if one_block:
        linear = _safe(linear, limits)
    elif isinstance(linear, Convolution) and not _is_toeplitz(linear, source, target, limits):
        linear = Sparse(matrix=sparse_matrix(linear.in_planes()))
    synapses = _synapses(linear, source, target)
    for index, update in enumerate(updates(source, "TOEPLITZ" if events else synapses.kind)):
        yield SynapseGroup(
            name=f"{name}_part_{index}",
            source=source.name,
            target=target.name,
            projection=name,
            synapses=synapses,
            update=update,
            graded=source.graded,
            variable=variable,
            delay=projection.delay,
            by_source=one_block and synapses.kind == "SPARSE",
        )


def _safe(linear: Linear, limits: Limits) -> Linear:
    """Keep all weights, zeros included; list them where they are too many."""
    if isinstance(linear, Dense):
        return linear
    matrix = linear.matrix if isinstance(linear, Sparse) else sparse_matrix(linear.in_planes())
    if _BYTES * int(np.prod(matrix.shape)) > limits.dense_bytes:
        return Sparse(matrix=matrix)
    return Dense(matrix=matrix.toarray())


def _synapses(linear: Linear, source: Neurons, target: Neurons) -> Synapses:
    if isinstance(linear, Convolution):
        snippet, kernel = toeplitz(linear.in_planes())
        return Synapses(kind="TOEPLITZ", weights=kernel, toeplitz=snippet)
    matrix: Any = linear.matrix
    assert matrix.shape == (source.size, target.size)
    if isinstance(linear, Dense):
        return Synapses(kind="DENSE", weights=matrix.ravel())
    entries = matrix.tocoo()
    longest = int(np.diff(matrix.indptr).max(initial=1))
    require(
        f"The SPARSE projection from {source.name} to {target.name}",
        source.size * longest * 2 * _BYTES,
    )
    return Synapses(
        kind="SPARSE",
        weights=entries.data,
        places=(entries.row, entries.col),
        longest=longest,
    )


def updates(source: Neurons, kind: str) -> list[dict[str, str]]:
    """Write what the synapses of a projection do, by the names that PyGeNN has for these texts.

    GeNN 5.4 has no right value of the source for TOEPLITZ on a GPU: it does not compile, and where
    it does every sample reads the first one's. There the value travels as its binary digits: for
    every digit and sign the source sends events of their own, to a synapse group of their own.

    Args:
        source: Where spikes come from.
        kind: TOEPLITZ, DENSE or SPARSE.

    Returns:
        One entry for each synapse group.
    """
    if not source.graded:
        return [{"pre_spike_syn_code": "addToPost(g);"}]
    if kind != "TOEPLITZ":
        return [{"pre_spike_syn_code": "addToPost(g * S);"}]
    return [
        {
            "pre_event_threshold_condition_code": (
                f"({sign}S > 0.5) && (((int)fabs(S) & {1 << digit}) != 0)"
            ),
            "pre_event_syn_code": f"addToPost({sign}{1 << digit}.0 * g);",
        }
        for sign in ("", "-")[: 1 + source.signed]
        for digit in range(source.largest.bit_length())
    ]
