"""What users call: convert, load, and what a spiking network can do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onnx2genn import coding as codings
from onnx2genn import saving
from onnx2genn.backends.registry import predict, stream
from onnx2genn.calibrate.encode import encode, guess, require_expressible
from onnx2genn.calibrate.observe import observe
from onnx2genn.calibrate.search import encode_with_fewest_steps
from onnx2genn.calibrate.source import read_with_samples
from onnx2genn.coding import Coding
from onnx2genn.data import Inputs, Progress, batched, prepare
from onnx2genn.errors import CalibrationError, CodingError, Problem, UnsupportedModelError
from onnx2genn.evaluate import result
from onnx2genn.evaluate.evaluation import evaluate
from onnx2genn.frontend.file import InputShape, Source
from onnx2genn.frontend.pipeline import fit
from onnx2genn.ir.model import Model
from onnx2genn.network import Network
from onnx2genn.report import html

if TYPE_CHECKING:
    from onnx2genn.backends.genn.own_model import AddedNetwork

__all__ = ["Evaluation", "SpikingNetwork", "check", "convert", "examine", "load"]


@dataclass(frozen=True, kw_only=True)
class Evaluation(result.Evaluation):
    """How a spiking network does against its ANN, with a page that shows it."""

    @classmethod
    def of(cls, found: result.Evaluation) -> Evaluation:
        """Give an evaluation its methods."""
        return cls(**{item.name: getattr(found, item.name) for item in fields(found)})

    def report(self, path: str | Path, **facts: object) -> None:
        """Write one HTML page of everything found, which needs nothing beside it.

        Args:
            path: File to write.
            facts: What else to say of the run, as ``data="the first 500 test images"``.

        Raises:
            DataError: jinja2 is missing, or the file cannot be written.
        """
        html.write(self, Path(path), {name: str(value) for name, value in facts.items()})


@dataclass(frozen=True, kw_only=True, repr=False)
class SpikingNetwork(Network):
    """A spiking network that gives the answers of the ANN that it was made from."""

    @classmethod
    def of(cls, network: Network) -> SpikingNetwork:
        """Give a network its methods."""
        return cls(**{item.name: getattr(network, item.name) for item in fields(network)})

    def predict(
        self, x: Inputs, *, backend: str = "auto", batch_size: int | None = None
    ) -> np.ndarray:
        """Run the spiking network.

        Args:
            x: Samples [N, ...] as the ANN takes them; of several inputs, arrays by name or in the
                order of ``entries``.
            backend: ``auto``, ``onnxruntime``, ``cuda``, ``hip`` or ``single_threaded_cpu``.
            batch_size: Samples simulated at once; chosen by the backend if None.

        Returns:
            Logits in ANN units, float32 [N, classes].

        Raises:
            DataError: The samples do not fit the model.
            BackendError: The backend is missing or cannot run the network.
        """
        return predict(self, prepare(self.model, x), backend, batch_size=batch_size)

    def evaluate(
        self,
        x: Inputs,
        y: np.ndarray | None = None,
        *,
        backend: str = "auto",
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Evaluation:
        """Compare the spiking network with the ANN on samples.

        Args:
            x: Samples as for :meth:`predict`.
            y: Labels [N]; without them accuracies are None and only the agreement is known.
            backend: As for :meth:`predict`.
            batch_size: Samples simulated at once; chosen by the backend if None.
            progress: Called with the number of samples done and the total.

        Raises:
            DataError: The samples or labels do not fit the model.
            BackendError: The backend is missing or cannot run the network.
        """
        return Evaluation.of(
            evaluate(self, x, y, backend=backend, batch_size=batch_size, progress=progress)
        )

    def stream(
        self, samples: Iterable[Inputs], *, backend: str = "auto", at_once: int = 1
    ) -> Iterator[np.ndarray]:
        """Answer samples as they come; the network is built once, with the first of them.

        Args:
            samples: Single samples, each as the ANN takes it but without the batch axis.
            backend: As for :meth:`predict`.
            at_once: Samples to wait for, which then go through the network one behind the other.
        """
        ready = (prepare(self.model, batched(item)) for item in samples)
        return stream(self, ready, backend, at_once=at_once)

    def add_to(self, model: Any, prefix: str = "snn_", *, input: Any = None) -> AddedNetwork:
        """Add the network to a PyGeNN model of one's own; docs/own_model.md has an example.

        Args:
            model: PyGeNN model that is not built yet; its owner builds, loads and steps it.
            prefix: What the names of populations begin with: the start of a C identifier.
            input: Neurons whose spikes are the input, after ``input="poisson"``; None for currents.

        Raises:
            BackendError: The prefix or the input do not fit, or PyGeNN is missing.
        """
        from onnx2genn.backends.genn.own_model import add_to

        return add_to(self, model, prefix=prefix, spikes=input)

    def export_genn(self, path: str | Path) -> None:
        """Write a folder with a PyGeNN script and its weights, which runs without onnx2genn.

        Raises:
            BackendError: The network has random input, or does not fit into memory.
            DataError: The folder cannot be written.
        """
        from onnx2genn.export.genn import export

        export(self, Path(path))

    def save(self, path: str | Path) -> None:
        """Save as one ONNX file, which onnxruntime runs as the ANN and onnx2genn as the SNN.

        Args:
            path: File to write.

        Raises:
            DataError: It cannot be written; a file that was there before is left as it was.
        """
        saving.save(self, Path(path))


def convert(
    source: Source,
    calibration: Inputs | str | Path | None = None,
    coding: str | Coding = codings.DEFAULT,
    *,
    steps: int | str | None = None,
    loss: float | None = None,
    output: str | None = None,
    memory: float | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> SpikingNetwork:
    """Turn a trained network into a spiking one.

    Args:
        source: Path of an ONNX file, or a model in memory.
        calibration: Training samples [N, ...] as the ANN takes them; a few hundred are enough. Of
            several inputs, arrays by name or in the model's order. Or a file of them, as the
            command line takes it. Without them thresholds are guessed from the weights, and the
            result is poor.
        coding: Name of a coding or preset, or a coding.
        steps: Time steps of a window; ``"auto"`` for the fewest that keep the ANN's answers.
        loss: For ``"auto"``, the share of calibration samples that may be answered differently;
            0.01 by default.
        output: Name of the output to convert; by default the first one of floats.
        memory: GiB that reading may take; a quarter of the machine's memory if None.
        progress: Called with the number of calibration samples done and the total.
        options: Options of the coding, as ``threshold="max"``.

    Returns:
        The network, ready for ``predict``, ``evaluate`` and ``save``.

    Raises:
        UnsupportedModelError: The model cannot be converted; ``problems`` lists all reasons.
        CalibrationError: Thresholds cannot be chosen from the samples.
        DataError: The samples do not fit the model.
        CodingError: The coding or an option is unknown.

    Example:
        >>> import onnx2genn
        >>> network = onnx2genn.convert("model.onnx", calibration=x)  # doctest: +SKIP
        >>> network.predict(x_test).argmax(axis=1)  # doctest: +SKIP
    """
    automatic = steps == "auto"
    chosen = codings.make(coding, steps=None if automatic else steps, **options)
    if loss is not None and not automatic:
        raise CodingError("loss is for steps='auto'.")
    if automatic and calibration is None:
        raise CalibrationError("Steps are chosen on calibration samples, and there are none.")
    model, samples = read_with_samples(source, calibration, output, memory=memory)
    if samples is None:
        return SpikingNetwork.of(guess(model, chosen))
    if automatic:
        found = encode_with_fewest_steps(model, chosen, samples, loss=loss, progress=progress)
        return SpikingNetwork.of(found)
    require_expressible(model, chosen)
    seen = observe(
        model,
        samples,
        per_channel=chosen.per_channel,
        hold_out=chosen.tries,
        progress=progress,
    )
    return SpikingNetwork.of(encode(seen, chosen))


def examine(
    source: Source,
    calibration: Inputs | str | Path | None = None,
    *,
    output: str | None = None,
    input_shape: InputShape | None = None,
    memory: float | None = None,
) -> Model:
    """Read a model as :func:`convert` does, and compare it with its file.

    Args:
        source: Path of an ONNX file, or a model in memory.
        calibration: As for :func:`convert`; sizes that the model leaves open are theirs.
        output: Name of the output to convert; by default the first one of floats.
        input_shape: Shape of one sample, where the model leaves it open and there are no samples;
            of a model with several inputs the shapes by name.
        memory: As for :func:`convert`.

    Raises:
        UnsupportedModelError: The model cannot be converted; ``problems`` lists all reasons.
        DataError: The samples do not fit the model.
    """
    model, samples = read_with_samples(source, calibration, output, input_shape, memory)
    return model if samples is None else fit(model, samples)


def check(
    source: Source,
    calibration: Inputs | str | Path | None = None,
    *,
    output: str | None = None,
    input_shape: InputShape | None = None,
    memory: float | None = None,
) -> list[Problem]:
    """List everything that keeps a model from being converted; empty if it converts.

    Args:
        source: Path of an ONNX file, or a model in memory.
        calibration: As for :func:`convert`; sizes that the model leaves open are theirs.
        output: As for :func:`convert`.
        input_shape: As for :func:`examine`.
        memory: As for :func:`convert`.

    Example:
        >>> import onnx2genn
        >>> for problem in onnx2genn.check("model.onnx"):  # doctest: +SKIP
        ...     print(problem)

    Raises:
        UnsupportedModelError: The file cannot be read at all.
        DataError: The samples do not fit the model.
    """
    try:
        examine(source, calibration, output=output, input_shape=input_shape, memory=memory)
    except UnsupportedModelError as error:
        if not error.problems:
            raise
        return error.problems
    return []


def load(source: Source) -> SpikingNetwork:
    """Load a spiking network that :meth:`SpikingNetwork.save` wrote.

    Args:
        source: Path of the file, or the model in memory.

    Raises:
        UnsupportedModelError: The file is missing, or is no saved spiking network.
    """
    return SpikingNetwork.of(saving.load(source))
