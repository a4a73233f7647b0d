"""Several runs side by side, from what ``--json`` wrote of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from onnx2genn.errors import DataError, printable
from onnx2genn.report.scores import percent, quantity

_NEEDED: dict[str, type | tuple[type, ...]] = {
    "coding": str, "steps": int, "samples": int, "scores": list, "populations": list,
    "spikes_per_sample": (int, float), "sops_per_sample": (int, float), "settings": str,
    "latency_steps": int, "backend": str, "model": str,
}  # fmt: skip
_SAME = 1e-9
_MOST_IN_WORDS = 5


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run.

    Attributes:
        label: What it is called in the comparison.
        record: What ``--json`` says of it.
    """

    label: str
    record: Mapping[str, Any]

    @property
    def score(self) -> Mapping[str, Any]:
        """How its first output does."""
        return self.record["scores"][0]

    @property
    def quality(self) -> float:
        """How good its answers are, where more is better: by labels, else against the ANN."""
        score = self.score
        value = score["to_ann"] if score["snn"] is None else score["snn"]
        return float(value) if score["more"] else -float(value)


def read(paths: Sequence[str | Path]) -> list[Run]:
    """Read runs from files of ``--json``.

    Raises:
        DataError: A file is missing, or is no result of an evaluation.
    """
    found = []
    for path in map(Path, paths):
        try:
            record = json.loads(path.read_text("utf-8"))
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise DataError(f"{path} is no JSON: {error}.") from error
        wrong = _fault(record)
        if wrong:
            raise DataError(
                f"{path} is no result of an evaluation: {wrong}. Write one by --evaluate FILE "
                "--json FILE."
            )
        found.append(Run(label=path.stem, record=record))
    return _distinct(found)


def runs_of(records: Sequence[Mapping[str, Any]]) -> list[Run]:
    """Take evaluations as runs, each named by its coding and steps."""
    return _distinct(
        [Run(label=f"{item['coding']}, T={item['steps']}", record=item) for item in records]
    )


def _fault(record: Any) -> str:
    if not isinstance(record, dict):
        return "it is no object"
    for name, kind in _NEEDED.items():
        if not isinstance(record.get(name), kind):
            return f"{name!r} is missing or of another kind"
    needed = {"output", "metric", "snn", "ann", "to_ann", "more", "title", "units"}
    needed |= {"by_step", "to_ann_by_step"}
    if not record["scores"] or not needed <= {*record["scores"][0]}:
        return "'scores' has no score"
    return ""


def _distinct(runs: list[Run]) -> list[Run]:
    """Number labels that occur more than once."""
    labels = [item.label for item in runs]
    return [
        Run(label=f"{item.label} ({labels[: i + 1].count(item.label)})", record=item.record)
        if labels.count(item.label) > 1
        else item
        for i, item in enumerate(runs)
    ]


def rows(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """List what runs have in common and where they differ: a name and a cell for each run."""
    found = [(name, [write(item) for item in runs]) for name, write in _ROWS.items()]
    return [(name, cells) for name, cells in found if any(cell != "-" for cell in cells)]


def _metric(name: str, *, titled: bool = True) -> Callable[[Run], str]:
    def write(run: Run) -> str:
        value = run.score[name]
        if value is None:
            return "-"
        shown = f"{value:.4g}" if run.score["units"] or not run.score["more"] else percent(value)
        return f"{shown} {run.score['title']}" if titled else shown

    return write


def _number(name: str) -> Callable[[Run], str]:
    return lambda run: "-" if run.record.get(name) is None else quantity(float(run.record[name]))


_ROWS: dict[str, Callable[[Run], str]] = {
    "model": lambda run: Path(run.record["model"]).name,
    "backend": lambda run: run.record["backend"],
    "samples": lambda run: f"{run.record['samples']:,}",
    "ANN": _metric("ann"),
    "forecast": _metric("forecast"),
    "SNN": _metric("snn"),
    "against the ANN": _metric("to_ann", titled=False),
    "steps a sample": lambda run: f"{run.record['steps']:,}",
    "steps to the first answer": lambda run: f"{run.record['latency_steps']:,}",
    "spikes a sample": _number("spikes_per_sample"),
    "synaptic operations": _number("sops_per_sample"),
    "MACs of the ANN": _number("macs_per_sample"),
    "samples a second": _number("samples_per_second"),
    "coding": lambda run: run.record["settings"],
}


def populations(runs: Sequence[Run]) -> list[tuple[str, list[tuple[str, bool]]]]:
    """List the correlation with the ANN of each population that runs have in common, by its node.

    Each cell says whether it is the worst of its row by more than rounding.
    """
    known = [{item["node"]: item for item in run.record["populations"]} for run in runs]
    found = []
    for node in known[0]:
        if not all(node in item for item in known):
            continue
        values = [item[node].get("correlation") for item in known]
        given = [value for value in values if value is not None]
        worst = min(given, default=0.0) if given and max(given) - min(given) > 0.001 else None
        cells = [
            ("-" if value is None else f"{value:.4f}", value is not None and value == worst)
            for value in values
        ]
        found.append((node, cells))
    return found


def notes(runs: Sequence[Run]) -> list[str]:
    """Say what makes runs hard to compare, and what each costs against the first."""
    found = []
    anns = {(run.score["ann"], run.record["samples"]) for run in runs}
    if len(anns) > 1:
        found.append(
            "The ANN does not do the same in all runs, so that they differ in the model or in the "
            "samples, too."
        )
    first = runs[0]
    for run in runs[1:] if len(runs) <= _MOST_IN_WORDS else ():
        parts = [_change(run, first)]
        for name, words in (("spikes_per_sample", "spikes"), ("latency_steps", "latency")):
            if first.record[name]:
                ratio = run.record[name] / first.record[name]
                parts.append(f"{ratio:.2f} times its {words}")
        found.append(f"{run.label} against {first.label}: {', '.join(parts)}.")
    return found


def _change(run: Run, first: Run) -> str:
    if _measure(run) != _measure(first):
        return "judged by another metric"
    change = run.quality - first.quality
    if abs(change) < _SAME:
        return f"the same {run.score['title']}"
    if run.score["units"] or not run.score["more"]:
        return f"{abs(change):.3g} {'better' if change > 0 else 'worse'} in {run.score['title']}"
    word = "more" if change > 0 else "less"
    return f"{100 * abs(change):.2f} points {word} {run.score['title']}"


def _measure(run: Run) -> tuple[str, bool]:
    """Return what quality is measured by, and whether the right answers are known."""
    return run.score["title"], run.score["snn"] is None


def best(runs: Sequence[Run], cost: str = "sops_per_sample") -> list[bool]:
    """Say which runs no other one beats in both quality and cost: the Pareto front."""
    points = [(run.quality, -float(run.record[cost])) for run in runs]
    return [
        not any(other[0] >= mine[0] and other[1] >= mine[1] and other != mine for other in points)
        for mine in points
    ]


def table(runs: Sequence[Run]) -> Table:
    """Write the rows for a terminal."""
    found = Table(box=box.SIMPLE_HEAD, title="Runs", title_justify="left")
    found.add_column("")
    for run in runs:
        found.add_column(Text(printable(run.label)), justify="right", overflow="fold")
    for name, cells in rows(runs):
        found.add_row(name, *(Text(printable(cell)) for cell in cells))
    return found


def table_of_populations(runs: Sequence[Run]) -> Table:
    """Write the correlations for a terminal."""
    title = "Correlation with the ANN"
    found = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    found.add_column("ONNX node", overflow="fold")
    for run in runs:
        found.add_column(Text(printable(run.label)), justify="right")
    for node, cells in populations(runs):
        found.add_row(
            Text(printable(node)), *(Text(cell, "yellow" if bad else "") for cell, bad in cells)
        )
    return found


def table_of_sweep(runs: Sequence[Run]) -> Table:
    """Write one line for each run: what it reaches and what it costs."""
    found = Table(box=box.SIMPLE_HEAD, title="Accuracy against cost", title_justify="left")
    found.add_column("coding")
    for name in ("steps", "SNN", "against the ANN", "latency", "spikes", "SOPs", "front"):
        found.add_column(name, justify="right")
    for run, front in zip(runs, best(runs), strict=True):
        found.add_row(
            run.record["coding"],
            str(run.record["steps"]),
            *(_ROWS[name](run) for name in ("SNN", "against the ANN")),
            str(run.record["latency_steps"]),
            *(_ROWS[name](run) for name in ("spikes a sample", "synaptic operations")),
            "*" if front else "",
        )
    return found
