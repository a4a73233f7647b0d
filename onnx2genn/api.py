"""What users call: convert, load, and what a spiking network can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from onnx2genn import coding as codings
from onnx2genn import saving
from onnx2genn.backends.registry import predict
from onnx2genn.calibrate.encode import encode, guess, require_expressible
from onnx2genn.calibrate.observe import observe
from onnx2genn.calibrate.search import encode_with_fewest_steps
from onnx2genn.coding import Coding
from onnx2genn.data import Inputs, Progress, load_arrays, load_samples, prepare, shapes_of
from onnx2genn.errors import CalibrationError, CodingError
from onnx2genn.evaluate.evaluation import evaluate
from onnx2genn.evaluate.result import Evaluation
from onnx2genn.frontend.file import Source, choose_output, input_names, load_proto
from onnx2genn.frontend.pipeline import check, read
from onnx2genn.network import Network

__all__ = ["SpikingNetwork", "check", "convert", "load"]


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
        return evaluate(self, x, y, backend=backend, batch_size=batch_size, progress=progress)

    def save(self, path: str | Path) -> None:
        """Save as one ONNX file, which onnxruntime runs as the ANN and onnx2genn as the SNN.

        The coding is in the metadata, thresholds are initializers. The file is written beside its
        place first and then moved there, so that it is never half written.

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
    proto = load_proto(source)
    names = input_names(proto, choose_output(proto, output))
    given = _samples(calibration, names)
    model = read(proto, output=output, input_shape=shapes_of(names, given))
    if calibration is None:
        if automatic:
            raise CalibrationError("Steps are chosen on calibration samples, and there are none.")
        return SpikingNetwork.of(guess(model, chosen))
    if given is None:  # of images, the model says how large they are
        given = load_samples(str(calibration), model.entries).x
    samples = prepare(model, given)
    if automatic:
        found = encode_with_fewest_steps(model, chosen, samples, loss=loss, progress=progress)
        return SpikingNetwork.of(found)
    require_expressible(model, chosen)
    seen = observe(model, samples, per_channel=chosen.per_channel, progress=progress)
    return SpikingNetwork.of(encode(seen, chosen))


def _samples(calibration: Inputs | str | Path | None, names: Sequence[str]) -> Inputs | None:
    """Return samples without knowing their shapes; None for folders of images."""
    if not isinstance(calibration, str | Path):
        return calibration
    path = Path(calibration)
    return None if path.is_dir() else load_arrays(path, names)[0]


def load(source: Source) -> SpikingNetwork:
    """Load a spiking network that :meth:`SpikingNetwork.save` wrote.

    Args:
        source: Path of the file, or the model in memory.

    Raises:
        UnsupportedModelError: The file is missing, or is no saved spiking network.
    """
    return SpikingNetwork.of(saving.load(source))
