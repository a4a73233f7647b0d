"""What users call: convert, examine, check and load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from onnx2genn import coding as codings
from onnx2genn import saving
from onnx2genn.calibrate.encode import encode, guess
from onnx2genn.calibrate.observe import observe
from onnx2genn.calibrate.search import encode_with_fewest_steps
from onnx2genn.calibrate.source import read_with_samples
from onnx2genn.coding import Coding
from onnx2genn.data import Inputs, Progress
from onnx2genn.errors import CalibrationError, CodingError, Problem, UnsupportedModelError
from onnx2genn.frontend.file import InputShape, Source
from onnx2genn.frontend.input_values import InputValues
from onnx2genn.frontend.outputs import Wanted
from onnx2genn.frontend.pipeline import fit
from onnx2genn.ir.model import Model
from onnx2genn.ir.preprocessing import Preprocessing
from onnx2genn.spiking_network import SpikingNetwork
from onnx2genn.stages import stage

__all__ = ["check", "convert", "examine", "load"]


def convert(
    source: Source,
    calibration: Inputs | str | Path | None = None,
    coding: str | Coding = codings.DEFAULT,
    *,
    steps: int | str | None = None,
    loss: float | None = None,
    metric: str | None = None,
    digits: Mapping[str, int] | None = None,
    inputs: str | Sequence[str] | None = None,
    output: Wanted = None,
    input_shape: InputShape | None = None,
    input_values: InputValues | None = None,
    preprocessing: Preprocessing | None = None,
    progress: Progress | None = None,
    executor: Executor | None = None,
    workers: int | None = None,
    **options: Any,
) -> SpikingNetwork:
    """Turn a trained network into a spiking one.

    Args:
        source: Path of an ONNX file, or a model in memory.
        calibration: Training samples [N, ...] as the ANN takes them; a few hundred are enough. Of
            several inputs, arrays by name or in the model's order. With ``input="events"``,
            events as :meth:`Network.prepare` takes them. Or a file of them, as the command line
            takes it. Without them thresholds are guessed from the weights, and the
            result is poor.
        coding: Name of a coding or preset, or a coding.
        steps: Time steps of a window; ``"auto"`` for the fewest that keep the ANN's answers.
        loss: For ``"auto"``, what the metric may be off its best value on the calibration samples:
            of classes, the share of samples that may be answered differently; of values, the error
            as a share of their spread. 0.01 by default.
        metric: For ``"auto"``, the metric to judge by; by default the one that suits the output,
            as ``evaluate`` chooses it.
        digits: Digits of populations that shall have fewer than T, by the names of their ONNX
            nodes or their own; what goes into one max pooling has the same. ``"auto"`` chooses
            them itself, and none with ``{}``.
        inputs: Tensor within the model, or several, that the network starts at. What comes before,
            as a spectrogram, is computed when samples are prepared; samples of the tensor are
            taken, too.
        output: Name of the output to convert, or of a tensor within the model, or several names; by
            default the first output of floats, and the others where they can be converted, too, and
            cost no more than it does. With several, ``predict`` returns a dictionary.
        input_shape: Shape of one sample, where the model leaves it open and there are no samples;
            of a model with several inputs the shapes by name.
        input_values: Inputs that have one value for all samples, as a sampling rate, a first state
            or a mask: numbers, arrays of the input's shape (the batch is an axis of size 1),
            ``"zeros"`` or ``"ones"``, by name. They become constants of the network.
        preprocessing: What is done to samples before the model takes them. It becomes part of the
            network, and is saved with it: all samples are those before.
        progress: Called with the number of calibration samples done and the total.
        executor: Runs the ANN on calibration samples; with None this process does. Thresholds are
            the same to the last digit.
        workers: Number of processes of this machine to do so, in place of an executor.
        options: Options of the coding, as ``threshold="max"``.

    Returns:
        The network, ready for ``predict``, ``evaluate`` and ``save``.

    Raises:
        UnsupportedModelError: The model cannot be converted; ``problems`` lists all reasons.
        CalibrationError: Thresholds cannot be chosen from the samples.
        DataError: The samples do not fit the model.
        CodingError: The coding, an option or a population is unknown.

    Example:
        >>> import onnx2genn
        >>> network = onnx2genn.convert("model.onnx", calibration=x)  # doctest: +SKIP
        >>> network.predict(x_test).argmax(axis=1)  # doctest: +SKIP
    """
    automatic = steps == "auto"
    chosen = codings.make(coding, steps=None if automatic else steps, **options)
    for name, given in (("loss", loss), ("metric", metric)):
        if given is not None and not automatic:
            raise CodingError(f"{name} is for steps='auto'.")
    if automatic and digits:
        raise CodingError("steps='auto' chooses digits itself: give a number of steps, or none.")
    if automatic and calibration is None:
        raise CalibrationError("Steps are chosen on calibration samples, and there are none.")
    if automatic and chosen.events:
        raise CodingError("Events are counted in the steps of a window: say how many (steps=...).")
    with stage("reading the model and the samples"):
        model, samples = read_with_samples(
            source,
            calibration,
            output,
            input_shape,
            _names(inputs),
            chosen,
            preprocessing,
            progress,
            input_values,
        )
    if samples is None:
        return SpikingNetwork.of(guess(model, chosen, digits))
    if automatic:
        with stage("search for the fewest steps"):
            found = encode_with_fewest_steps(
                model,
                chosen,
                samples,
                loss=loss,
                metric=metric,
                narrow=digits is None,
                progress=progress,
                executor=executor,
                workers=workers,
            )
        return SpikingNetwork.of(found)
    with stage("running the ANN on calibration samples"):
        seen = observe(
            model,
            samples,
            per_channel=chosen.per_channel,
            hold_out=chosen.tries,
            progress=progress,
            executor=executor,
            workers=workers,
        )
    with stage("choosing thresholds"):
        return SpikingNetwork.of(encode(seen, chosen, digits))


def examine(
    source: Source,
    calibration: Inputs | str | Path | None = None,
    *,
    inputs: str | Sequence[str] | None = None,
    output: Wanted = None,
    input_shape: InputShape | None = None,
    input_values: InputValues | None = None,
    preprocessing: Preprocessing | None = None,
    coding: str | Coding = codings.DEFAULT,
) -> Model:
    """Read a model as :func:`convert` does, and compare it with its file.

    Args:
        source: Path of an ONNX file, or a model in memory.
        calibration: As for :func:`convert`; sizes that the model leaves open are theirs.
        inputs: As for :func:`convert`.
        output: As for :func:`convert`.
        input_shape: Shape of one sample, where the model leaves it open and there are no samples;
            of a model with several inputs the shapes by name.
        input_values: As for :func:`convert`.
        preprocessing: As for :func:`convert`.
        coding: Coding that the samples are for, which may take events.

    Raises:
        UnsupportedModelError: The model cannot be converted; ``problems`` lists all reasons.
        DataError: The samples do not fit the model.
    """
    model, samples = read_with_samples(
        source,
        calibration,
        output,
        input_shape,
        _names(inputs),
        codings.make(coding),
        preprocessing,
        input_values=input_values,
    )
    return model if samples is None else fit(model, samples)


def check(
    source: Source,
    calibration: Inputs | str | Path | None = None,
    *,
    inputs: str | Sequence[str] | None = None,
    output: Wanted = None,
    input_shape: InputShape | None = None,
    input_values: InputValues | None = None,
    preprocessing: Preprocessing | None = None,
    coding: str | Coding = codings.DEFAULT,
) -> list[Problem]:
    """List everything that keeps a model from being converted; empty if it converts.

    Args:
        source: Path of an ONNX file, or a model in memory.
        calibration: As for :func:`convert`; sizes that the model leaves open are theirs.
        inputs: As for :func:`convert`.
        output: As for :func:`convert`.
        input_shape: As for :func:`examine`.
        input_values: As for :func:`convert`.
        preprocessing: As for :func:`convert`.
        coding: As for :func:`examine`.

    Example:
        >>> import onnx2genn
        >>> for problem in onnx2genn.check("model.onnx"):  # doctest: +SKIP
        ...     print(problem)

    Raises:
        UnsupportedModelError: The file cannot be read at all.
        DataError: The samples do not fit the model.
    """
    try:
        examine(
            source,
            calibration,
            inputs=inputs,
            output=output,
            input_shape=input_shape,
            input_values=input_values,
            preprocessing=preprocessing,
            coding=coding,
        )
    except UnsupportedModelError as error:
        if not error.problems:
            raise
        return error.problems
    return []


def _names(given: str | Sequence[str] | None) -> Sequence[str]:
    return [given] if isinstance(given, str) else given or ()


def load(source: Source) -> SpikingNetwork:
    """Load a spiking network that :meth:`SpikingNetwork.save` wrote.

    Args:
        source: Path of the file, or the model in memory.

    Raises:
        UnsupportedModelError: The file is missing, or is no saved spiking network.
    """
    return SpikingNetwork.of(saving.load(source))
