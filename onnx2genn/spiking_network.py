"""What a spiking network can do: answer, be compared with its ANN, be saved and exported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx2genn import saving
from onnx2genn.backends import recording
from onnx2genn.backends.recording import Recording
from onnx2genn.backends.registry import EMBEDDED, predict, stream
from onnx2genn.data import Inputs, Progress, batched
from onnx2genn.evaluate import result
from onnx2genn.evaluate.cross_check import CrossCheck, cross_check
from onnx2genn.evaluate.diagnosis import Diagnosis, diagnose
from onnx2genn.evaluate.evaluation import Truth, evaluate
from onnx2genn.ir.outputs import separate_outputs
from onnx2genn.network import Network
from onnx2genn.report import html, notebook
from onnx2genn.report.raster import Shown

if TYPE_CHECKING:
    from onnx2genn.backends.genn.own_model import AddedNetwork


@dataclass(frozen=True, kw_only=True)
class Evaluation(result.Evaluation):
    """How a spiking network does against its ANN, with a page that shows it."""

    @classmethod
    def of(cls, found: result.Evaluation) -> Evaluation:
        """Give an evaluation its methods."""
        return cls(**{item.name: getattr(found, item.name) for item in fields(found)})

    def _repr_html_(self) -> str:
        return notebook.evaluation(self)

    def diagnose(self) -> list[Diagnosis]:
        """Say where the SNN parts from the ANN, why, and which option mends it; nothing if not."""
        return diagnose(self)

    def report(
        self,
        path: str | Path,
        *,
        x: np.ndarray | None = None,
        recording: Recording | None = None,
        neurons: Mapping[str, Sequence[int]] | None = None,
        figures: str | Path | None = None,
        **facts: object,
    ) -> None:
        """Write one HTML page of everything found, which needs nothing beside it.

        Args:
            path: File to write.
            x: The samples; then those that ANN and SNN answer differently are shown.
            recording: Of :meth:`SpikingNetwork.simulate`, whose first sample is drawn.
            neurons: Places of neurons by the name of the population or node, for their potentials.
            figures: Folder for the figures as SVG and PNG, and all numbers as CSV and JSON.
            facts: What else to say of the run, as ``data="the first 500 test images"``.

        Raises:
            DataError: jinja2 is missing, there is no such neuron, or a file cannot be written.
        """
        told = {name: str(value) for name, value in facts.items()}
        shown = None if recording is None else Shown(recording=recording, neurons=neurons or {})
        html.write(self, Path(path), told, x, shown, None if figures is None else Path(figures))


@dataclass(frozen=True, kw_only=True, repr=False)
class SpikingNetwork(Network):
    """A spiking network that gives the answers of the ANN that it was made from."""

    @classmethod
    def of(cls, network: Network) -> SpikingNetwork:
        """Give a network its methods."""
        return cls(**{item.name: getattr(network, item.name) for item in fields(network)})

    def _repr_html_(self) -> str:
        return notebook.network(self)

    def predict(
        self,
        x: Inputs,
        *,
        heads: bool = False,
        backend: str = "auto",
        batch_size: int | None = None,
        **options: Any,
    ) -> Any:
        """Run the spiking network.

        By default it answers with logits: what comes before the heads of the model (Softmax,
        Sigmoid, ArgMax...), which have no spiking form and are taken off. With ``heads=True``
        onnxruntime applies them to the logits, and the answer is what the model itself returns.

        Args:
            x: Samples [N, ...] as the ANN takes them; of several inputs, arrays by name or in the
                order of ``entries``.
            heads: Whether to apply the heads that were taken off.
            backend: ``auto``, ``onnxruntime``, ``cuda``, ``hip`` or ``single_threaded_cpu``.
            batch_size: Samples simulated at once; chosen by the backend if None.
            options: Options of the backend, as ``relays`` of :meth:`add_to`.

        Returns:
            Logits in ANN units, float32 [N, classes]; with heads, the output of the model. Of
            several outputs a dictionary of arrays by name.

        Raises:
            DataError: The samples do not fit the model.
            BackendError: The backend is missing or cannot run the network.
        """
        found = predict(self, self.prepare(x), backend, batch_size=batch_size, **options)
        return self._answers(found, heads=heads)

    def _answers(self, readout: np.ndarray, *, heads: bool = False) -> Any:
        """Take the readout [N, ...] apart where it holds several outputs."""
        outputs = self.model.parts.outputs
        if len(outputs) == 1 and not heads:
            return readout
        found = self.model.with_heads(readout) if heads else separate_outputs(outputs, readout)
        return found if len(outputs) > 1 else found[outputs[0].name]

    def evaluate(
        self,
        x: Inputs,
        y: Truth = None,
        *,
        metric: str | None = None,
        class_names: Sequence[str] = (),
        backend: str = "auto",
        batch_size: int | None = None,
        progress: Progress | None = None,
        executor: Executor | None = None,
        workers: int | None = None,
        resume: str | Path | None = None,
        **options: Any,
    ) -> Evaluation:
        """Compare the spiking network with the ANN on samples.

        Args:
            x: Samples as for :meth:`predict`.
            y: What the answers should be: labels [N], or one for each position [N, ...], or values
                in the shape of the output. Without them accuracies are None and only the agreement
                with the ANN is known.
            metric: ``accuracy``, ``top-5``, ``iou``, ``correlation``, ``mae``, ``rmse`` or
                ``nrmse`` (the error as a share of the spread). By default the one that suits the
                output: accuracy where Softmax, ArgMax or a row of scores tells of classes, at each
                position if there are several; of Sigmoid, accuracy of all labels, and IoU where
                these have positions; else the error.
            class_names: Those of the classes in their order, for the report.
            backend: As for :meth:`predict`.
            batch_size: Samples simulated at once; chosen by the backend if None.
            progress: Called with the number of samples done and the total.
            executor: Runs parts of the samples wherever it runs things, with the same result to
                the last digit: anything with the interface of
                :class:`concurrent.futures.Executor`, as Dask's ``client.get_executor()``.
            workers: Number of processes of this machine to do so, in place of an executor.
            resume: File that keeps what was found, from which the same evaluation goes on.
            options: As for :meth:`predict`; operations and the latency go by ``relays``.

        Raises:
            CodingError: There is no such metric, or there are both an executor and workers.
            DataError: The samples, the labels, the metric or the file do not fit.
            BackendError: The backend is missing or cannot run the network.
        """
        return Evaluation.of(
            evaluate(
                self,
                x,
                y,
                metric=metric,
                class_names=class_names,
                backend=backend,
                batch_size=batch_size,
                progress=progress,
                executor=executor,
                workers=workers,
                resume=None if resume is None else Path(resume),
                **options,
            )
        )

    def cross_check(
        self,
        x: Inputs,
        *,
        backend: str | None = None,
        against: str = EMBEDDED,
        batch_size: int | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> CrossCheck:
        """Run the same samples on two backends and compare what every neuron sent.

        Args:
            x: Samples as for :meth:`predict`.
            backend: Backend to check; if None the first other one that this machine has.
            against: Backend to compare with.
            batch_size: Samples simulated at once on the backend that is checked.
            progress: Called with the number of samples done and the total.
            options: Options of the backend that is checked, as for :meth:`predict`.

        Returns:
            Differences of spikes and logits, population by population; ``fault`` says where the
            first one is that rounding does not explain.

        Raises:
            DataError: The samples do not fit the model.
            BackendError: A backend is missing or cannot run the network, or both are the same.
        """
        options |= {"batch_size": batch_size, "progress": progress}
        return cross_check(self, x, backend=backend, against=against, **options)

    def simulate(
        self,
        x: Inputs,
        record: Sequence[str] | None = None,
        membrane: Sequence[str] = (),
        *,
        backend: str = "auto",
        batch_size: int | None = None,
    ) -> Iterator[Recording]:
        """Run the spiking network and record it, a few samples at a time.

        Args:
            x: Samples as for :meth:`predict`.
            record: Populations whose spikes are recorded, by their names or those of their ONNX
                nodes; all if None.
            membrane: Populations whose potentials are recorded; ``"readout"`` for the logits over
                time.
            backend: As for :meth:`predict`; all record the same.
            batch_size: Samples of each recording; chosen by the backend and the memory if None.

        Raises:
            DataError: The samples do not fit the model, or there is no such population.
            BackendError: The backend is missing or cannot run the network.
        """
        samples = self.prepare(x)
        return recording.record(self, samples, record, membrane, backend, batch_size=batch_size)

    def stream(
        self, samples: Iterable[Inputs], *, backend: str = "auto", at_once: int = 1
    ) -> Iterator[Any]:
        """Answer samples as they come; the network is built once, with the first of them.

        Args:
            samples: Single samples, each as the ANN takes it but without the batch axis.
            backend: As for :meth:`predict`.
            at_once: Samples to wait for, which then go through the network one behind the other.
        """
        ready = (self.prepare(batched(item, separate=self.coding.events)) for item in samples)
        for readout in stream(self, ready, backend, at_once=at_once):
            found = self._answers(readout[None])
            if isinstance(found, dict):
                yield {name: item[0] for name, item in found.items()}
            else:
                yield found[0]

    def add_to(
        self, model: Any, prefix: str = "snn_", *, input: Any = None, relays: str = "auto"
    ) -> AddedNetwork:
        """Add the network to a PyGeNN model of one's own; docs/own_model.md has an example.

        Args:
            model: PyGeNN model that is not built yet; its owner builds, loads and steps it.
            prefix: What the names of populations begin with: the start of a C identifier.
            input: Neurons whose spikes are the input, after ``input="events"``; None for currents.
            relays: Neurons for sums that several others read: ``auto`` by cost, ``none``, ``all``.

        Raises:
            BackendError: The prefix or the input do not fit, or PyGeNN is missing.
        """
        from onnx2genn.backends.genn.own_model import add_to

        return add_to(self, model, prefix=prefix, spikes=input, relays=relays)

    def export_genn(self, path: str | Path, *, relays: str = "none") -> None:
        """Write a PyGeNN script that runs without onnx2genn, with relays as of :meth:`add_to`.

        Raises:
            BackendError: The input is spikes, or the network does not fit into memory.
            DataError: The folder cannot be written.
        """
        from onnx2genn.export.genn import export

        export(self, Path(path), relays)

    def save(self, path: str | Path) -> None:
        """Save as one ONNX file, which onnxruntime runs as the ANN and onnx2genn as the SNN.

        Raises:
            DataError: It cannot be written; a file that was there before is left as it was.
        """
        saving.save(self, Path(path))
