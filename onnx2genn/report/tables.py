"""All numbers of an evaluation, or of several, as tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from onnx2genn.evaluate.result import Evaluation, plain
from onnx2genn.report.energy import energies

Row = Mapping[str, Any]


def tables(evaluation: Evaluation) -> dict[str, list[Row]]:
    """Return what was found as rows of plain values, by the name of the table."""
    record = evaluation.to_dict()
    found: dict[str, list[Row]] = {
        "scores": [_flat(item) for item in record["scores"]],
        "steps": _steps(record["scores"]),
        "populations": [_flat(item) for item in record["populations"]],
        "projections": [_flat(item) for item in record["projections"]],
        "activations": [
            row for item in record["populations"] for row in _activations(item["name"], item)
        ],
        "differences": record["differences"],
        "confusion": [
            {"ann": ann, "snn": snn, "samples": count} for ann, snn, count in evaluation.confusion
        ],
        "energy": [
            {"model": item.model.name, "snn_picojoules": item.snn, "ann_picojoules": item.ann}
            for item in energies(evaluation)
        ],
    }
    return {name: plain(rows) for name, rows in found.items() if rows}


def tables_of_runs(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Row]]:
    """Return what several runs found as rows of plain values, by the name of the table.

    Args:
        runs: What ``--json`` says of each, by its name, which each row has.
    """
    parts: dict[str, Callable[[Mapping[str, Any]], Sequence[Row]]] = {
        "runs": lambda record: [
            {key: item for key, item in record.items() if not isinstance(item, list | Mapping)}
        ],
        "scores": lambda record: [_flat(item) for item in record["scores"]],
        "steps": lambda record: _steps(record["scores"]),
        "populations": lambda record: [_flat(item) for item in record["populations"]],
    }
    return {
        name: [{"run": label, **row} for label, record in runs.items() for row in rows(record)]
        for name, rows in parts.items()
    }


def as_csv(rows: Sequence[Row]) -> bytes:
    """Write rows as CSV; what is not known is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _flat(item: Mapping[str, Any]) -> dict[str, Any]:
    """Take what is within as columns of its own, but for what are rows of another table."""
    found: dict[str, Any] = {}
    for name, value in item.items():
        if name == "threshold":
            found |= {"threshold_low": value[0], "threshold_high": value[1]}
        elif isinstance(value, Mapping):
            found |= {key: part for key, part in value.items() if key != "response"}
        elif isinstance(value, list) and name.endswith("by_step"):
            continue
        elif isinstance(value, list):
            found[name] = " ".join(map(str, value))
        else:
            found[name] = value
    return found


def _steps(scores: Sequence[Mapping[str, Any]]) -> list[Row]:
    return [
        {
            "output": item["output"],
            "step": step + 1,
            item["metric"]: None if item["by_step"] is None else item["by_step"][step],
            "to_ann": item["to_ann_by_step"][step],
        }
        for item in scores
        for step in range(len(item["to_ann_by_step"]))
    ]


def _activations(name: str, item: Mapping[str, Any]) -> list[Row]:
    response = item["deviation"]["response"]
    if response is None:
        return []
    width = response["end"] / len(response["counts"])
    return [
        {
            "population": name,
            "from": index * width,
            "to": (index + 1) * width,
            "activations": count,
            "decoded": decoded,
        }
        for index, (count, decoded) in enumerate(
            zip(response["counts"], response["decoded"], strict=True)
        )
    ]
