"""An evaluation as one HTML page, which needs nothing beside it and loads nothing."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnx2genn import files
from onnx2genn.errors import DataError, printable
from onnx2genn.evaluate.result import Evaluation
from onnx2genn.report import activations, comparison, curves, digits, figures, layout
from onnx2genn.report.chart import chart
from onnx2genn.report.comparison import Run
from onnx2genn.report.energy import energies
from onnx2genn.report.raster import Shown
from onnx2genn.report.scores import all_rows, percent, quantity, span, verdict
from onnx2genn.report.tables import tables, tables_of_runs
from onnx2genn.report.terminal import (
    LOW_CORRELATION,
    MANY_SATURATED,
    advice,
    is_poor,
)
from onnx2genn.report.thumbnails import thumbnail

if TYPE_CHECKING:
    import numpy as np

_PACKAGES = ("onnx2genn", "numpy", "onnx", "onnxruntime", "pygenn")


def require() -> None:
    """Find out before the work that the page can be written.

    Raises:
        DataError: jinja2 is missing.
    """
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        raise DataError("Reports need jinja2: pip install 'onnx2genn[report]'.") from error


def write(
    evaluation: Evaluation,
    path: Path | None,
    facts: Mapping[str, str] | None = None,
    samples: np.ndarray | None = None,
    shown: Shown | None = None,
    folder: Path | None = None,
) -> str:
    """Write an evaluation as an HTML page, and its figures and numbers as files.

    Args:
        evaluation: What was found.
        path: File to write; None for the figures alone.
        facts: What else to say of the run, by name, as the command and the data.
        samples: What was evaluated, [N, ...]; then those answered differently are shown.
        shown: A sample whose spikes are drawn.
        folder: For figures and numbers; None for none.

    Returns:
        What was written beside the page, in a sentence; empty if that is nothing.

    Raises:
        DataError: jinja2 is missing, or a file cannot be written.
    """
    text = page(evaluation, facts, samples, shown)
    if path is not None:
        files.write(path, text.encode())
    if folder is None:
        return ""
    return figures.write(text, folder, tables(evaluation), evaluation.to_dict())


def page(
    evaluation: Evaluation,
    facts: Mapping[str, str] | None = None,
    samples: np.ndarray | None = None,
    shown: Shown | None = None,
) -> str:
    """Return an evaluation as an HTML page; what comes from the model is escaped.

    Args:
        evaluation: What was found.
        facts: What else to say of the run, by name.
        samples: As for :func:`write`.
        shown: As for :func:`write`.

    Raises:
        DataError: jinja2 is missing, or a neuron to show does not exist.
    """
    facts = {"model": evaluation.model, **(facts or {})}
    return rendered(
        "page.html",
        evaluation=evaluation,
        title=Path(facts["model"]).name,
        facts={**facts, **_settings(evaluation), **versions()},
        verdict=verdict(evaluation),
        advice=advice(evaluation),
        chart=chart(evaluation),
        layout=layout.layout(evaluation.inputs, evaluation.projections),
        box=(layout.WIDTH, layout.HEIGHT),
        rows=_rows(evaluation),
        energies=energies(evaluation),
        histograms=activations.histograms(evaluation),
        raster=None if shown is None else shown.raster(evaluation),
        traces=[] if shown is None else shown.traces(evaluation),
        pictures=_pictures(evaluation, samples),
        scores=all_rows(evaluation),
        differing=round((1 - evaluation.score.to_ann) * evaluation.samples),
        current_macs=sum(item.current_macs for item in evaluation.projections),
        poor=is_poor,
        low_correlation=LOW_CORRELATION,
        many_saturated=MANY_SATURATED,
        span=span,
    )


def _settings(evaluation: Evaluation) -> dict[str, str]:
    count = evaluation.calibration_samples
    guess = "a guess from the weights, without calibration data"
    fewer = digits.of_evaluation(evaluation)
    return {
        "coding": evaluation.settings,
        "thresholds": f"from {count:,} samples" if count else guess,
        **({"digits": fewer} if fewer else {}),
        "backend": evaluation.backend,
    }


def _pictures(evaluation: Evaluation, samples: np.ndarray | None) -> dict[int, str]:
    """Return the samples that are answered differently as pictures, if they are any."""
    known = (
        {}
        if samples is None
        else {item.sample: thumbnail(samples[item.sample]) for item in evaluation.differences}
    )
    return {sample: picture for sample, picture in known.items() if picture is not None}


def rendered(template: str, **values: Any) -> str:
    """Fill in a template of this package, with the style that all have; text is escaped.

    Raises:
        DataError: jinja2 is missing.
    """
    require()
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source),
        autoescape=True,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(percent=percent, quantity=quantity, energy=_energy, shape=_shape)
    style = Markup("\n".join(map(_source, ("style.css", "figures.css"))))  # noqa: S704
    return environment.get_template(template).render(style=style, **values)


def _source(name: str) -> str:
    return resources.files("onnx2genn.report").joinpath(name).read_text("utf-8")


def write_compared(
    runs: Sequence[Run],
    title: str,
    facts: Mapping[str, str],
    path: Path | None,
    folder: Path | None,
) -> str:
    """Write several runs side by side as an HTML page, and its figures and numbers as files.

    Args:
        runs: What was found.
        title: Head of the page.
        facts: What else to say, by name.
        path: File to write; None for the figures alone.
        folder: For figures and numbers; None for none.

    Returns:
        What was written beside the page, in a sentence; empty if that is nothing.

    Raises:
        DataError: jinja2 is missing, or a file cannot be written.
    """
    text = compared(runs, title, facts)
    if path is not None:
        files.write(path, text.encode())
    if folder is None:
        return ""
    records = {run.label: run.record for run in runs}
    return figures.write(text, folder, tables_of_runs(records), {"runs": records})


def compared(runs: Sequence[Run], title: str, facts: Mapping[str, str] | None = None) -> str:
    """Return several runs side by side as an HTML page.

    Args:
        runs: What was found.
        title: Head of the page.
        facts: What else to say, by name.

    Raises:
        DataError: jinja2 is missing.
    """
    return rendered(
        "compare.html",
        title=title,
        runs=runs,
        notes=comparison.notes(runs),
        rows=comparison.rows(runs),
        populations=comparison.populations(runs),
        steps=curves.over_steps(runs),
        cost=curves.over_cost(runs),
        facts={**(facts or {}), **versions()},
    )


def versions() -> dict[str, str]:
    """Name the versions of what takes part."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {**found, "Python": platform.python_version(), "system": platform.platform()}


def _rows(evaluation: Evaluation) -> dict[str, dict[str, Any]]:
    """Collect what is said of each input, population and the readout, by name, in their order."""
    found: dict[str, dict[str, Any]] = {
        name: {"label": name, "kind": "input", "shape": shape, "activity": None, "synapses": None}
        for name, shape in evaluation.inputs.items()
    }
    activity = {item.name: item for item in evaluation.populations}
    for item in evaluation.projections:
        known = activity.get(item.target)
        kind = "readout" if item is evaluation.projections[-1] else "relay"
        found[item.target] = {
            "label": item.target if known is None else known.node,
            "kind": kind if known is None else known.kind,
            "shape": item.shape,
            "activity": known,
            "synapses": item,
        }
    for index, row in enumerate(found.values()):
        row["id"] = index
    return found


def _printable(value: Any) -> Any:
    """Let names that turn the direction of text, or are no text, be seen as what they are."""
    return printable(value) if type(value) is str else value


def _shape(shape: tuple[int, ...]) -> str:
    return " \N{MULTIPLICATION SIGN} ".join(map(str, shape)) or "1"


def _energy(picojoules: float | None) -> str:
    if picojoules is None:
        return "-"
    for factor, unit in ((1e9, "mJ"), (1e6, "µJ"), (1e3, "nJ")):
        if picojoules >= factor:
            return f"{picojoules / factor:.3g} {unit}"
    return f"{picojoules:.3g} pJ"
