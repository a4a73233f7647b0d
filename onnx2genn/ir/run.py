"""The one place where onnxruntime runs something."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx.numpy_helper

from onnx2genn.errors import UnsupportedModelError
from onnx2genn.ir.blocked import in_blocked_layout
from onnx2genn.ir.graph import Constants, Graph, to_onnx
from onnx2genn.ir.memory import budget

if TYPE_CHECKING:
    import onnxruntime

_ERRORS_ONLY = 3
_KEPT_BYTES = 2**29
# So many arrays of a batch there are at a time: when an evaluation compares, what ANN, forecast and
# neurons computed, codes and spikes, their copies with double precision, and what onnxruntime has
# in hand; or when one thing alone is computed.
ARRAYS, _FEW_ARRAYS = 20, 4
# Larger constants are fed as they lie in memory: within a model they would be copied four times.
_FED_BYTES = 2**20
_FED_KINDS = "fiub"
_AS_REQUESTED = {"arena_extend_strategy": 1}  # by default memory grows by powers of two


def samples_at_once(values: int, most: int, arrays: int = _FEW_ARRAYS) -> int:
    """Return how many samples to compute at once.

    Args:
        values: Numbers that are kept of each sample, as float32; half a gibibyte of them is kept,
            or less where the budget is small.
        most: Largest answer; the smallest is 1.
        arrays: As many of them are there at a time.
    """
    kept = min(_KEPT_BYTES, budget() // arrays)
    return max(1, min(most, kept // (4 * max(values, 1))))


class Runner:
    """A model, or a graph, ready to run: arrays by name in, arrays by name out.

    Args:
        model: The model to run.
        outputs: Tensors to return, by default all outputs of the model. An input is returned as it
            came.
        fed: Inputs that are the same in each run.
        threads: Threads within an operator; 0 takes one per core.
        optimise: Whether onnxruntime may rewrite the graph.
        share: Whether to share memory, as of :func:`session`.
        reuse: Whether to keep memory for further runs.

    Raises:
        UnsupportedModelError: The model is too large, or onnxruntime refuses it.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        outputs: Iterable[str] | None = None,
        *,
        fed: Constants | None = None,
        threads: int = 0,
        optimise: bool = True,
        share: bool = False,
        reuse: bool = True,
    ) -> None:
        self._session = session(model, threads=threads, optimise=optimise, share=share, reuse=reuse)
        self._fed = dict(fed or {})
        names = (item.name for item in self._session.get_inputs())
        self.inputs = tuple(name for name in names if name not in self._fed)
        made = [item.name for item in self._session.get_outputs()]
        self.outputs = tuple(made if outputs is None else dict.fromkeys(outputs))

    @classmethod
    def of(
        cls,
        graph: Graph,
        outputs: Iterable[str] | None = None,
        *,
        input_types: Mapping[str, int] | None = None,
        optimise: bool = False,
    ) -> Runner:
        """Run a graph as it stands, by default for every tensor that its nodes compute.

        No memory is kept between runs, which are few.
        """
        computed = [name for node in graph.nodes for name in node.outputs if name]
        wanted = list(dict.fromkeys(computed if outputs is None else outputs))
        large = {
            name: array
            for name, array in graph.constants.items()
            if array.nbytes > _FED_BYTES and array.dtype.kind in _FED_KINDS
        }
        model = to_onnx(
            graph.nodes,
            {name: array for name, array in graph.constants.items() if name not in large},
            graph.inputs,
            dict.fromkeys(name for name in wanted if name not in graph.inputs),
            opset=graph.opset,
            imports=graph.imports,
            input_types=input_types,
            fed=large,
        )
        return cls(model, wanted, fed=large, optimise=optimise, reuse=False)

    def __call__(
        self, feeds: Mapping[str, np.ndarray], outputs: Iterable[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Run on arrays [N, ...] by name; return all outputs, or those that are named.

        Raises:
            UnsupportedModelError: onnxruntime cannot run the model on them.
        """
        given = {name: feeds[name] for name in self.inputs}
        wanted = self.outputs if outputs is None else tuple(outputs)
        computed = [name for name in wanted if name not in self.inputs]
        try:
            values = self._session.run(computed, {**given, **self._fed}) if computed else []
        except Exception as error:  # onnxruntime's exceptions share no public base class
            raise _failed(error) from error
        found = {**given, **dict(zip(computed, values, strict=True))}
        return {name: found[name] for name in wanted}

    def fill(self, feeds: Mapping[str, np.ndarray], output: np.ndarray) -> None:
        """Run on arrays by name, and let the one output be written into an array of float32.

        Args:
            feeds: Inputs [N, ...] by name.
            output: Array of the output's shape whose elements lie side by side.

        Raises:
            UnsupportedModelError: onnxruntime cannot run the model on them.
        """
        (name,) = self.outputs
        session: Any = self._session  # which says nothing of its types
        binding = session.io_binding()
        for key in self.inputs:
            binding.bind_cpu_input(key, np.ascontiguousarray(feeds[key]))
        for key, array in self._fed.items():
            binding.bind_cpu_input(key, array)
        binding.bind_output(name, "cpu", 0, np.float32, output.shape, output.ctypes.data)
        try:
            session.run_with_iobinding(binding)
        except Exception as error:  # onnxruntime's exceptions share no public base class
            raise _failed(error) from error

    def batches(
        self, feeds: Mapping[str, np.ndarray], at_once: int
    ) -> Iterator[dict[str, np.ndarray]]:
        """Run on so many samples at once, one part after the other."""
        count = len(next(iter(feeds.values())))
        for start in range(0, count, at_once):
            yield self({name: array[start : start + at_once] for name, array in feeds.items()})


def _failed(error: Exception) -> UnsupportedModelError:
    reason = str(error).strip().splitlines()[0]
    return UnsupportedModelError(f"onnxruntime cannot run the model: {reason}")


def session(
    model: onnx.ModelProto,
    *,
    threads: int = 0,
    optimise: bool = True,
    share: bool = False,
    reuse: bool = True,
) -> onnxruntime.InferenceSession:
    """Make a session on the CPU.

    Args:
        model: The model to run.
        threads: Threads within an operator; 0 takes one per core. Idle threads sleep: the threads
            of several sessions would otherwise spin against each other.
        optimise: Whether onnxruntime may rewrite the graph.
        share: Whether to take memory from all sessions that share theirs, and not to keep as much
            as this one ever needed for itself: for sessions that run one after the other.
        reuse: Whether to keep memory for further runs; else it is given back at once.

    Raises:
        UnsupportedModelError: The model is too large, or onnxruntime refuses it; the message has
            the reason.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY + 1
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = reuse
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if share and _shared_memory():
        options.add_session_config_entry("session.use_env_allocators", "1")
    optimised = in_blocked_layout(model) if optimise else None
    if optimised is not None or not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    model, weights = _without_weights(optimised or model)
    options.add_external_initializers(list(weights), list(weights.values()))
    content = serialised(model)
    try:
        found = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no public base class
        raise UnsupportedModelError(_refusal(model, error)) from error
    weakref.finalize(found, weights.clear)  # it reads them where they are, as long as it lives
    return found


def _without_weights(
    model: onnx.ModelProto,
) -> tuple[onnx.ModelProto, dict[str, onnxruntime.OrtValue]]:
    """Take large weights out of a model: written with them, it is copied, and ends at 2 GiB."""
    from onnxruntime import OrtValue

    graph = model.graph
    large = {item.name: item for item in graph.initializer if len(item.raw_data) > _FED_BYTES}
    if not large:
        return model, {}
    found = onnx.ModelProto(
        ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions
    )
    for field in ("node", "input", "output", "value_info"):
        getattr(found.graph, field).extend(getattr(graph, field))
    found.graph.name = graph.name
    for item in graph.initializer:
        if item.name in large:
            place = found.graph.initializer.add(
                name=item.name,
                dims=item.dims,
                data_type=item.data_type,
                data_location=onnx.TensorProto.EXTERNAL,
            )
            place.external_data.add(key="location", value=item.name)
        else:
            found.graph.initializer.append(item)
    return found, {
        name: OrtValue.ortvalue_from_numpy(onnx.numpy_helper.to_array(item))
        for name, item in large.items()
    }


@cache
def _shared_memory() -> bool:
    """Make the memory that sessions share; say whether that is possible."""
    import onnxruntime

    arena = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    place = onnxruntime.OrtMemoryInfo("Cpu", arena, 0, onnxruntime.OrtMemType.DEFAULT)
    try:
        onnxruntime.create_and_register_allocator(place, onnxruntime.OrtArenaCfg(_AS_REQUESTED))
    except Exception:  # noqa: BLE001 - its exceptions share no public base class
        return False  # another part of the process has made some, with sizes of its own
    return True


def serialised(model: onnx.ModelProto) -> bytes:
    """Write a model as bytes.

    Raises:
        UnsupportedModelError: It is larger than an ONNX model can be.
    """
    try:
        return model.SerializeToString()
    except Exception as error:  # of protobuf, by its implementation
        raise UnsupportedModelError(
            "The network takes more than the 2 GiB that an ONNX model can hold: it can be "
            "converted and run, but not be saved in one file. Keep the original model instead."
        ) from error


def _refusal(model: onnx.ModelProto, error: Exception) -> str:
    """Say why onnxruntime refused, with both versions where a too new opset is the cause."""
    import onnxruntime

    reason = f"onnxruntime {onnxruntime.__version__} cannot run the model"
    found = " ".join(str(error).split())
    if "opset" not in found.lower():
        return f"{reason}: {found}"
    opsets = ", ".join(f"{item.domain or 'ai.onnx'} {item.version}" for item in model.opset_import)
    return (
        f"{reason} (opset {opsets}): {found} If the opset is newer than onnxruntime knows, upgrade "
        "onnxruntime or export with a lower opset."
    )
