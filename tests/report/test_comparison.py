"""Runs side by side."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Example
from helpers.html_page import Page

import onnx2genn
from onnx2genn.report import comparison, html


@pytest.fixture(scope="module")
def records(digits: Example) -> list[dict[str, Any]]:
    found = []
    for coding, steps in (("few-spike", 1), ("few-spike", 8), ("rate", 8)):
        network = onnx2genn.convert(digits.model, digits.x_train, coding, steps=steps)
        x, y = digits.x_test[:100], digits.y_test[:100]
        found.append(network.evaluate(x, y, backend="onnxruntime").to_dict())
    return found


def test_the_page_is_well_formed_and_loads_nothing(records: list[dict[str, Any]]) -> None:
    text = html.compared(comparison.runs_of(records), "<Runs>", {"command": "a <b>"})
    page = Page(text)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object"}
    assert "<Runs>" in page.text
    assert "http" not in text.replace("http-equiv", "")
    for run in comparison.runs_of(records):
        assert page.text.count(run.label) >= 3


def test_what_runs_cost_against_the_first(records: list[dict[str, Any]]) -> None:
    first, second, _ = comparison.runs_of(records)
    (note,) = comparison.notes([first, second])
    ratio = records[1]["latency_steps"] / records[0]["latency_steps"]
    assert f"{ratio:.2f} times its latency" in note
    same = comparison.notes([first, first])
    assert "the same accuracy, 1.00 times its spikes" in same[0]


def test_other_samples_are_noted(records: list[dict[str, Any]]) -> None:
    other = {**records[1], "samples": 7}
    assert "differ in the model" in comparison.notes(comparison.runs_of([records[0], other]))[0]


def test_other_metrics_are_not_compared(records: list[dict[str, Any]]) -> None:
    for change in ({"title": "mean absolute error"}, {"snn": None}):
        other = {**records[1], "scores": [{**records[1]["scores"][0], **change}]}
        runs = comparison.runs_of([records[0], other])
        assert "judged by another metric" in comparison.notes(runs)[0]


def test_the_front(records: list[dict[str, Any]]) -> None:
    def run(accuracy: float, cost: float) -> comparison.Run:
        score = {**records[0]["scores"][0], "snn": accuracy, "more": True}
        record = {**records[0], "scores": [score], "sops_per_sample": cost}
        return comparison.Run(label="", record=record)

    runs = [run(0.9, 10), run(0.8, 20), run(0.95, 30), run(0.95, 40), run(0.9, 10)]
    assert comparison.best(runs) == [True, False, True, False, True]


def test_the_worst_population_is_marked(records: list[dict[str, Any]]) -> None:
    for _, cells in comparison.populations(comparison.runs_of(records)):
        assert cells[0][1]
        assert not cells[1][1]


def test_labels_that_occur_twice_are_numbered(records: list[dict[str, Any]]) -> None:
    labels = [run.label for run in comparison.runs_of([records[0], records[0], records[1]])]
    assert len(set(labels)) == 3
