"""Projections as synapse groups: connectivity that every GeNN backend has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from onnx2genn.backends.genn.device.neurons import port
from onnx2genn.backends.genn.device.toeplitz import toeplitz
from onnx2genn.backends.genn.installation import CPU
from onnx2genn.backends.genn.lowering.convolution import Convolution, sparse_matrix
from onnx2genn.backends.genn.lowering.projection import Dense, Linear, Sparse
from onnx2genn.backends.genn.memory import require
from onnx2genn.backends.genn.plan import Neurons, Projection

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


@dataclass(frozen=True, kw_only=True)
class Synapses:
    """How GeNN keeps a linear map.

    Attributes:
        kind: TOEPLITZ, DENSE or SPARSE.
        weights: In the order of that kind.
        places: Source and target of every weight of SPARSE.
        snippet: Of TOEPLITZ.
        compiled: What of all this is compiled.
    """

    kind: str
    weights: np.ndarray
    places: tuple[np.ndarray, ...] = ()
    snippet: Any = None
    compiled: str = ""


class SynapseGroups:
    """Connects groups of neurons by TOEPLITZ, DENSE and SPARSE synapse groups.

    Args:
        model: PyGeNN model.
        limits: What is safe on the device.

    Attributes:
        kept: Models that PyGeNN does not keep alive, and reads until it has built.
    """

    def __init__(self, model: Any, limits: Limits) -> None:
        self._model = model
        self._limits = limits
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
        from pygenn import ParallelismHint

        one_block = target.size <= self._limits.one_block
        linear = self._safe(projection.linear) if one_block else projection.linear
        synapses = self._synapses(linear, source, target)
        texts = [f"{name} {synapses.kind} {variable} {projection.delay} {synapses.compiled}"]
        for index, update in enumerate(updates(source, synapses.kind)):
            group = self._group(f"{name}_part_{index}", synapses, update, source, target)
            group.post_target_var = variable
            if projection.delay:
                group.axonal_delay_steps = projection.delay
            if one_block and synapses.kind == "SPARSE":
                group.parallelism_hint = ParallelismHint.PRESYNAPTIC
            texts.append(str(update))
        return "\n".join(texts)

    def _safe(self, linear: Linear) -> Linear:
        """Keep all weights, zeros included; list them where they are too many."""
        if isinstance(linear, Dense):
            return linear
        matrix = linear.matrix if isinstance(linear, Sparse) else sparse_matrix(linear.in_planes())
        if _BYTES * int(np.prod(matrix.shape)) > self._limits.dense_bytes:
            return Sparse(matrix=matrix)
        return Dense(matrix=matrix.toarray())

    def _synapses(self, linear: Linear, source: Neurons, target: Neurons) -> Synapses:
        if isinstance(linear, Convolution):
            snippet, kernel, code = toeplitz(linear.in_planes())
            self.kept.append(snippet)
            return Synapses(kind="TOEPLITZ", weights=kernel, snippet=snippet, compiled=code)
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
            compiled=str(longest),
        )

    def _group(
        self,
        name: str,
        synapses: Synapses,
        update: dict[str, str],
        source: Neurons,
        target: Neurons,
    ) -> Any:
        from pygenn import (
            VarAccess,
            VarAccessMode,
            create_weight_update_model,
            init_postsynaptic,
            init_toeplitz_connectivity,
            init_weight_update,
        )

        reads = {"S": "S"} if source.graded else {}
        model = create_weight_update_model(
            "weighted",
            vars=[("g", "scalar", VarAccess.READ_ONLY)],
            pre_neuron_var_refs=[(key, "scalar", VarAccessMode.READ_ONLY) for key in reads],
            **update,
        )
        self.kept.append(model)
        weights = np.ascontiguousarray(synapses.weights, dtype=np.float32)
        snippet = synapses.snippet
        group = self._model.add_synapse_population(
            name,
            synapses.kind,
            self._model.neuron_populations[source.name],
            self._model.neuron_populations[target.name],
            init_weight_update(model, vars={"g": weights}, pre_var_refs=reads),
            init_postsynaptic("DeltaCurr"),
            *([] if snippet is None else [init_toeplitz_connectivity(snippet)]),
        )
        if synapses.places:
            group.set_sparse_connections(*synapses.places)
        return group


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
